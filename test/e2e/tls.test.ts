/** Clients over TLS, as docs/tls.md shows it; and two clusters that go on replicating whatever clients do. */
import { execFile } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect, type SecureVersion, type TLSSocket } from 'node:tls'
import { promisify } from 'node:util'
import type { Redis } from 'ioredis'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ensureCertificates } from '#control/certificates/certificates.ts'
import type { TlsIdentity } from '#runtime/ports.ts'
import { Authority } from '#test/certificates.ts'
import { pythonPath } from '#test/debianPackages.ts'
import { antipode, freeBasePort, Lab } from './lab.ts'

const run = promisify(execFile)
const within = { timeout: 20_000 }
const root = join(import.meta.dirname, '..', '..')

describe('docs/tls.md', () => {
  const directory = mkdtempSync(join(tmpdir(), 'lab-'))
  const page = readFileSync(join(root, 'docs', 'tls.md'), 'utf8')
  let port: number

  const inPlace = (text: string): string =>
    text
      .replaceAll('bin/antipode lab up', `${antipode} lab up --dir ${directory} --base-port ${port}`)
      .replaceAll('bin/antipode lab down', `${antipode} lab down --dir ${directory}`)
      .replaceAll('12000', String(port))
      .replaceAll('.lab/', `${directory}/`)

  const blocks = (language: string): string[] =>
    [...page.matchAll(new RegExp(`^\`\`\`${language}\n(.*?)^\`\`\`$`, 'gms'))].map(([, text = '']) =>
      inPlace(text),
    )

  /** What each line of a block answers. */
  async function answers(block: string | undefined): Promise<string[]> {
    const said: string[] = []
    for (const line of (block ?? '').trim().split('\n')) {
      const { stdout } = await run('bash', ['-c', `${line} 2>&1 || true`], { cwd: root })
      said.push(stdout.trim())
    }
    return said
  }

  beforeAll(async () => {
    port = await freeBasePort(1)
  })

  afterAll(async () => {
    await run(antipode, ['lab', 'down', '--dir', directory])
    rmSync(directory, { recursive: true })
  })

  it('says how clients change over', async () => {
    const [up, set, get, change, refused, info] = await answers(blocks('sh')[0])
    expect(up).toContain('ready')
    expect([set, get, change]).toEqual(['OK', 'plain', 'OK'])
    expect(refused).toBe('ERR this database takes clients over TLS only; connect with TLS')
    expect(info).toContain(`listener0:name=tls,bind=127.0.0.1,port=${port}`)
    expect(info).toContain('tls_mode:enabled')
    expect(Number(/tls_certificate_days_left:(\d+)/.exec(info ?? '')?.[1])).toBeGreaterThan(800)
  })

  it('says how ioredis and redis-py connect', async () => {
    const [js = ''] = blocks('js')
    expect((await run(process.execPath, ['--input-type=module', '-e', js], { cwd: root })).stdout).toBe(
      'plain\n',
    )
    const [python = ''] = blocks('python')
    expect((await run(process.env['PYTHON'] ?? pythonPath, ['-c', python])).stdout).toBe("b'plain'\n")
  })

  it('says how certificates of clients are made and looked at', async () => {
    const said = await answers(blocks('sh')[1])
    const [mine, none, change, refused] = said.slice(-4)
    expect([mine, change]).toEqual(['plain', 'OK'])
    expect(none).toBe('ERR a client certificate is needed here')
    expect(refused).toBe('ERR the subject of the client certificate is not authorized here')
  })
})

describe('two clusters', () => {
  let lab: Lab
  let first: Redis
  let second: Redis
  const certificates = mkdtempSync(join(tmpdir(), 'certificates-'))
  /** Whom client certificates are trusted from. */
  let clients: Authority
  const sockets: TLSSocket[] = []

  const tls = () => ({ tls: { ca: readFileSync(join(lab.directory, 'tls', 'authority.crt')) } })

  beforeAll(async () => {
    clients = await Authority.make(join(certificates, 'clients'))
    lab = await Lab.up({
      clusters: 2,
      settings: [
        'database.tls_mode=enabled',
        'tls.client_min_version=1.3',
        `tls.client_authority=${clients.path}`,
        'proxy.workers=2',
      ],
    })
    first = lab.client(1, tls())
    second = lab.client(2, tls())
  })

  afterAll(async () => {
    for (const socket of sockets) socket.destroy()
    expect(await lab.down()).toBe(0)
    rmSync(certificates, { recursive: true })
  })

  /** The serial number of the certificate that is shown, or why there is none. */
  const handshake = async (maxVersion: SecureVersion = 'TLSv1.3'): Promise<string> =>
    await new Promise((resolve) => {
      const socket = connect({ port: lab.port(1), host: '127.0.0.1', maxVersion, ...tls().tls }, () => {
        resolve(socket.getPeerCertificate().serialNumber)
      })
      sockets.push(socket)
      socket.on('error', (error) => resolve(error.message))
    })

  let writes = 0
  async function replicates(): Promise<void> {
    for (const [from, to] of [
      [first, second],
      [second, first],
    ] as const) {
      const key = `written ${++writes}`
      await from.set(key, 'x')
      await expect.poll(async () => await to.get(key), within).toBe('x')
    }
  }

  it('replicate in every mode, which each cluster has of its own', async () => {
    await replicates()
    for (const mode of ['allowed', 'disabled', 'replica_ssl', 'enabled']) {
      await first.config('SET', 'tls-mode', mode)
      const isPlain = mode === 'disabled' || mode === 'replica_ssl'
      const client = lab.client(1, { ...(isPlain ? {} : tls()), retryStrategy: () => null })
      expect(await client.ping()).toBe('PONG')
      const other = lab.client(1, { ...(isPlain ? tls() : {}), retryStrategy: () => null })
      if (mode === 'allowed') expect(await other.ping()).toBe('PONG')
      else await expect(other.ping()).rejects.toThrow()
      // Links that exist, and new ones.
      await replicates()
      await lab.cut(1, 2)
      await lab.heal()
      await replicates()
    }
  })

  it('look at the certificates of clients', async () => {
    const foreign = await Authority.make(join(certificates, 'foreign'))
    const app = await clients.issue({ subject: 'CN=app,OU=Payments' })
    const says = async (identity: TlsIdentity | null): Promise<string> => {
      const shown =
        identity === null
          ? {}
          : { cert: readFileSync(identity.certificatePath), key: readFileSync(identity.keyPath) }
      const socket = connect({ port: lab.port(1), host: '127.0.0.1', ...tls().tls, ...shown })
      sockets.push(socket)
      return await new Promise((resolve, reject) => {
        socket.on('data', (chunk) => resolve(chunk.toString().trim()))
        socket.on('error', reject)
        socket.write('PING\r\n')
      })
    }
    await first.config('SET', 'tls-auth-clients', 'optional')
    expect(await says(app)).toBe('+PONG')
    expect(await says(null)).toBe('+PONG')
    const old = await clients.issue({ subject: 'CN=app', days: -1 })
    expect(await says(old)).toBe('-ERR the client certificate is not accepted: CERT_HAS_EXPIRED')
    const stranger = await foreign.issue({ subject: 'CN=app' })
    expect(await says(stranger)).toMatch(/^-ERR the client certificate is not accepted: UNABLE_TO/)
    await first.config('SET', 'tls-auth-clients', 'yes')
    expect(await says(null)).toBe('-ERR a client certificate is needed here')
    // One whose subject is let in no more.
    await first.config('SET', 'tls-authorized-subjects', 'CN=app,OU=Payments')
    expect(await says(app)).toBe('+PONG')
    await first.config('SET', 'tls-authorized-subjects', 'CN=other;CN=app,OU=Sales')
    expect(await says(app)).toBe('-ERR the subject of the client certificate is not authorized here')
    await replicates()
    await first.config('SET', 'tls-authorized-subjects', '', 'tls-auth-clients', 'no')
    expect(await says(null)).toBe('+PONG')
  })

  it('change the lowest version on SIGHUP', async () => {
    expect(await handshake('TLSv1.2')).toContain('alert protocol version')
    const file = join(lab.directory, 'cluster-1', 'node.toml')
    writeFileSync(
      file,
      readFileSync(file, 'utf8').replace('client_min_version = "1.3"', 'client_min_version = "1.2"'),
    )
    const status = await lab.status()
    process.kill(status.clusters[0]?.agent.pid ?? 0, 'SIGHUP')
    await expect.poll(async () => await handshake('TLSv1.2'), within).toMatch(/^[0-9A-F]+$/)
  })

  it('show a new certificate to later connections under load, keep those that exist, and replicate', async () => {
    const before = await handshake()
    let isOver = false
    let pings = 0
    const load = (async () => {
      while (!isOver) {
        expect(await first.ping()).toBe('PONG')
        pings++
      }
    })()
    const directory = join(lab.directory, 'tls')
    for (const file of ['cluster-1.crt', 'cluster-1.key']) rmSync(join(directory, file))
    await ensureCertificates(directory, ['cluster-1'])
    const id = await first.client('ID')
    await expect.poll(async () => await handshake(), within).toMatch(new RegExp(`^(?!${before})[0-9A-F]+$`))
    // The other cluster's syncer makes its links anew.
    const links = (await lab.processes(2)).filter(({ role }) => role === 'syncer')
    for (const { pid } of links) process.kill(pid ?? 0, 'SIGKILL')
    await replicates()
    isOver = true
    await load
    expect(pings).toBeGreaterThan(100)
    expect(await first.client('ID')).toBe(id)
  })
})
