/**
 * One TLS side of a port: a server that does not listen, but is handed connections. Its files are looked at again for connections
 * that come a second later; while what lies there can't be used, such as half of a new pair, the last that could serves on. A setting
 * that changes counts from the next connection on, or nobody is let in: what was asked for before may have been less.
 */
import { constants, X509Certificate } from 'node:crypto'
import fs from 'node:fs'
import type { Socket } from 'node:net'
import tls, { type TLSSocket } from 'node:tls'
import type { Logger } from '#runtime/ports.ts'

export interface TlsSettings {
  certificatePath: string
  keyPath: string
  /** Of who vouches for the other side's certificate; null: it is asked for none. */
  authorityPath: string | null
  minVersion: 'TLSv1.2' | 'TLSv1.3'
  /** OpenSSL's list; null: Node's. */
  ciphers: string | null
  /** What is agreed on when the other side names protocols; others than this are refused. */
  protocol: string
}

export interface ServedCertificate {
  commonName: string
  expiresWallMs: number
}

export interface TlsAcceptorEvents {
  onSecure(socket: TLSSocket): void
  /** The socket has ended. */
  onFailed(socket: TLSSocket, reason: string): void
}

/** Replaced files are used for connections from so much later on. */
const filesAgeMaxMs = 1000

interface Files {
  cert: Buffer
  key: Buffer
  ca: Buffer | null
}

export class TlsAcceptor {
  readonly #settings: () => TlsSettings | null
  readonly #logger: Logger
  readonly #events: TlsAcceptorEvents
  #server: tls.Server | null = null
  #served: ServedCertificate | null = null
  #inForce = ''
  #files: Files | null = null
  #readAtMs = 0
  #lastError = ''

  /** `settings` is asked at each connection; null: none is taken. */
  constructor(settings: () => TlsSettings | null, logger: Logger, events: TlsAcceptorEvents) {
    this.#settings = settings
    this.#logger = logger
    this.#events = events
  }

  get isWanted(): boolean {
    return this.#settings() !== null
  }

  /** What is shown at present. */
  get served(): ServedCertificate | null {
    this.#refresh()
    return this.#served
  }

  /** Whether there is a certificate to show; if not, the socket is the caller's. */
  take(socket: Socket): boolean {
    this.#refresh()
    return this.#server?.emit('connection', socket) === true
  }

  #refresh(): void {
    const settings = this.#settings()
    const wanted = settings === null ? '' : JSON.stringify(settings)
    const isOther = wanted !== this.#inForce
    const nowMs = performance.now()
    if (!isOther && nowMs - this.#readAtMs < filesAgeMaxMs) return
    this.#readAtMs = nowMs
    this.#inForce = wanted
    if (isOther || settings === null) {
      this.#server = null
      this.#served = null
      this.#files = null
    }
    if (settings === null) return
    try {
      const files = readFiles(settings)
      if (this.#files !== null && isSame(files, this.#files)) return
      this.#server = this.#serverOf(settings, files)
      this.#files = files
      this.#served = certificateIn(files.cert)
      this.#lastError = ''
      const { commonName, expiresWallMs } = this.#served
      const facts = { certificate: commonName, expires: new Date(expiresWallMs).toISOString() }
      this.#logger.info({ protocol: settings.protocol, ...facts }, 'TLS shows this certificate from now on')
    } catch (error) {
      if (String(error) === this.#lastError) return
      this.#lastError = String(error)
      this.#logger.error({ error: String(error) }, 'the TLS certificate, key or authority cannot be used')
    }
  }

  #serverOf(settings: TlsSettings, { cert, key, ca }: Files): tls.Server {
    const asks = settings.authorityPath !== null
    const server = tls.createServer({
      cert,
      key,
      // Without a list Node would trust all public authorities.
      ca: ca === null ? [] : [ca],
      ALPNProtocols: [settings.protocol],
      minVersion: settings.minVersion,
      ...(settings.ciphers === null ? {} : { ciphers: settings.ciphers }),
      // Whether a certificate is needed, and which are good, is for the owner to decide and to say.
      requestCert: asks,
      rejectUnauthorized: false,
      // Who resumes a session shows no certificate: each connection is judged by its own.
      ...(asks ? { secureOptions: constants.SSL_OP_NO_TICKET } : {}),
      allowHalfOpen: true,
      noDelay: true,
    })
    server.on('secureConnection', (socket) => this.#events.onSecure(socket))
    server.on('tlsClientError', (error, socket) => {
      socket.destroy()
      this.#events.onFailed(socket, reasonOf(error))
    })
    return server
  }
}

/** Throws the system's error when a file can't be read. */
const readFiles = ({ certificatePath, keyPath, authorityPath }: TlsSettings): Files => ({
  cert: fs.readFileSync(certificatePath),
  key: fs.readFileSync(keyPath),
  ca: authorityPath === null ? null : fs.readFileSync(authorityPath),
})

const isSame = (a: Files, b: Files): boolean =>
  a.cert.equals(b.cert) &&
  a.key.equals(b.key) &&
  (a.ca === b.ca || (a.ca !== null && b.ca?.equals(a.ca) === true))

function certificateIn(pem: Buffer): ServedCertificate {
  const { subject, validTo } = new X509Certificate(pem)
  return { commonName: /^CN=(.*)$/m.exec(subject)?.[1] ?? '', expiresWallMs: Date.parse(validTo) }
}

/** OpenSSL's words, such as `no shared cipher`, where they are told apart; else Node's. */
const reasonOf = (error: Error): string => ('reason' in error ? String(error.reason) : error.message)
