/** Reads a node's TOML file. */
import { readFileSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { createSecureContext } from 'node:tls'
import { parse } from 'toml'
import { load, problemLines } from '#config/load.ts'
import type { NodeSettings } from '#config/schema.ts'
import { MendableError } from '#control/contract/mendableError.ts'

/** The file can't be used; the message has a line for each thing that is wrong with it. */
export class NodeFileError extends MendableError {}

export interface NodeFile {
  path: string
  settings: NodeSettings
  /** Absolute. */
  dataDirectory: string
}

export function readNodeFile(path: string): NodeFile {
  let text: string
  try {
    text = readFileSync(path, 'utf8')
  } catch (error) {
    throw new NodeFileError(`${path} can't be read: ${error instanceof Error ? error.message : error}`)
  }
  const { settings, problems } = load(parseToml(text, path))
  if (problems !== null) {
    throw new NodeFileError(
      problemLines(problems)
        .map((line) => `${path}: ${line}`)
        .join('\n'),
    )
  }
  checkCiphers(path, settings)
  const directory = dirname(resolve(path))
  const { tls, node } = settings
  const absolute = (file: string | null) => (file === null ? null : resolve(directory, file))
  return {
    path,
    dataDirectory: resolve(directory, node.dataDir),
    settings: {
      ...settings,
      tls: {
        ...tls,
        certificate: absolute(tls.certificate),
        key: absolute(tls.key),
        authority: absolute(tls.authority),
        serverCertificate: absolute(tls.serverCertificate),
        serverKey: absolute(tls.serverKey),
        clientAuthority: absolute(tls.clientAuthority),
      },
    },
  }
}

/** Only OpenSSL knows the names of ciphers. */
function checkCiphers(path: string, { tls }: NodeSettings): void {
  for (const [key, ciphers] of [
    ['client_ciphers', tls.clientCiphers],
    ['client_cipher_suites', tls.clientCipherSuites],
  ] as const) {
    try {
      if (ciphers !== null) createSecureContext({ ciphers })
    } catch {
      throw new NodeFileError(`${path}: tls.${key}: has no cipher that is known`)
    }
  }
}

function parseToml(text: string, path: string): unknown {
  try {
    return parse(text)
  } catch (error) {
    throw new NodeFileError(`${path}${place(error)}: ${error instanceof Error ? error.message : error}`)
  }
}

/** The parser tells the place of a mistake in one of two ways. */
function place(error: unknown): string {
  if (typeof error !== 'object' || error === null) return ''
  const { line, location } = error as { line?: unknown; location?: { start?: { line?: unknown } } }
  const found = line ?? location?.start?.line
  return typeof found === 'number' ? `:${found}` : ''
}
