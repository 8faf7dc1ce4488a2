/** Who is let in as a client, by mode, TLS and certificate; what CONFIG and INFO say of it, and the log. */
import { describe, expect, it } from 'vitest'
import type { ClientTlsConfig } from '#config/process.ts'
import { ClientTls } from '#proxy/clientTls.ts'
import { Refusals, refusalsMax } from '#proxy/refusals.ts'
import type { PresentedCertificate, TlsFacts } from '#runtime/tlsFacts.ts'
import { MemoryWorld } from '#test/memoryWorld.ts'
import { plainClients } from '#test/plainClients.ts'
import { RecordingLogger } from '#test/silentLogger.ts'
import { Peer } from './peer.ts'
import { ProxyWorld } from './proxyWorld.ts'
import { WorkersWorld } from './workersWorld.ts'

const certificate = (changes: Partial<PresentedCertificate> = {}): PresentedCertificate => ({
  subject: { CN: ['app'], OU: ['a', 'b'], SAN: ['app.example'] },
  fault: null,
  ...changes,
})
const expired = certificate({ fault: 'CERT_HAS_EXPIRED' })

const server = { certificatePath: '/s.crt', keyPath: '/s.key' }
const files = { server, authorityPath: '/clients.crt' }
const fieldsOf = (reply: string): Record<string, string> =>
  Object.fromEntries([...reply.matchAll(/^([a-z0-9_]+):(.*)\r$/gm)].map(([, name, value]) => [name, value]))

const overTls = (shown: PresentedCertificate | null = null): TlsFacts => ({
  use: 'client',
  certificate: shown,
})

const plainRefused = 'ERR this database takes clients over TLS only; connect with TLS'
const tlsRefused = 'ERR TLS is for peer clusters here; connect without it'
const needed = 'ERR a client certificate is needed here'
const bad = 'ERR the client certificate is not accepted: CERT_HAS_EXPIRED'
const stranger = 'ERR the subject of the client certificate is not authorized here'

describe('who is let in', () => {
  type Row = [ClientTlsConfig['mode'], plain: string | null, tls: string | null]
  it.each<Row>([
    ['disabled', null, tlsRefused],
    ['replica_ssl', null, tlsRefused],
    ['allowed', null, null],
    ['enabled', plainRefused, null],
  ])('%s: without TLS %j, with it %j', (mode, plain, tls) => {
    const rules = new ClientTls({ ...plainClients, ...files, mode })
    expect(rules.refusalOf(null)?.error ?? null).toBe(plain)
    for (const shown of [null, certificate(), expired])
      expect(rules.refusalOf({ use: 'client', certificate: shown })?.error ?? null).toBe(tls)
    expect(rules.asks).toBe(false)
  })

  describe.each(['allowed', 'enabled'] as const)('%s', (mode) => {
    type Authentication = ClientTlsConfig['clientCertificates']
    type Row = [Authentication, string[], PresentedCertificate | null, string | null]
    it.each<Row>([
      ['optional', [], null, null],
      ['optional', [], certificate(), null],
      ['optional', [], expired, bad],
      ['optional', ['CN=other'], null, null],
      ['optional', ['CN=other'], certificate(), stranger],
      ['required', [], null, needed],
      ['required', [], certificate(), null],
      ['required', [], expired, bad],
      ['required', ['CN=app'], expired, bad],
      ['required', ['CN=other', 'CN=app,OU=b'], certificate(), null],
      ['required', ['CN=other', 'CN=app,OU=c'], certificate(), stranger],
      ['required', ['SAN=app.example'], certificate(), null],
    ])('%s, %j: %j is told %j', (clientCertificates, authorizedSubjects, shown, error) => {
      const rules = new ClientTls({ ...plainClients, ...files, mode, clientCertificates, authorizedSubjects })
      expect(rules.refusalOf({ use: 'client', certificate: shown })?.error ?? null).toBe(error)
      expect(rules.asks).toBe(true)
      // A certificate is no matter of those who come without TLS.
      expect(rules.refusalOf(null)?.error ?? null).toBe(mode === 'enabled' ? plainRefused : null)
    })
  })

  it.each(['disabled', 'replica_ssl', 'allowed', 'enabled'] as const)('peers in every mode: %s', (mode) => {
    const world = new ProxyWorld({ clientTls: { ...files, mode } })
    expect([null, 'c1', 'c2'].map((name) => new Peer(world, name).send().isClosed)).toEqual([
      true,
      true,
      false,
    ])
  })

  it('who is not gets the reason, runs nothing and is counted', () => {
    const world = new ProxyWorld({ clientTls: { ...files, mode: 'enabled', clientCertificates: 'required' } })
    const client = world.client()
    client.write('SET a 1\r\n')
    expect(client.read()).toBe(`-${plainRefused}\r\n`)
    expect(client.isClosed).toBe(true)
    expect(world.shard.seen).toEqual([])
    expect(world.client(overTls()).read()).toBe(`-${needed}\r\n`)
    const inside = world.client(overTls(certificate()))
    expect(inside.call('PING')).toBe('+PONG\r\n')
    const fields = fieldsOf(inside.call('INFO'))
    expect(fields).toMatchObject({
      rejected_connections: '2',
      tls_connections_received: '2',
      tls_clients: '1',
      connected_clients: '1',
    })
    expect(
      world.logger.lines.filter(({ level }) => level === 'warn').map(({ facts }) => facts['reason']),
    ).toEqual(['it came without TLS', 'it has shown no certificate'])
  })
})

describe('CONFIG', () => {
  const get = (world: ProxyWorld, name: string): string =>
    world.client(overTls(certificate())).call('CONFIG', 'GET', name).split('\r\n')[4] ?? ''

  it('changes the mode for later connections, at all workers', () => {
    const world = new WorkersWorld({ clientTls: files })
    const old = world.client(0)
    expect(
      old.call(
        'CONFIG',
        'SET',
        'tls-mode',
        'enabled',
        'tls-auth-clients',
        'OPTIONAL',
        'tls-protocols',
        'TLSv1.3',
      ),
    ).toBe('+OK\r\n')
    expect(old.call('PING')).toBe('+PONG\r\n')
    for (const worker of [0, 1, 2]) {
      expect(world.client(worker).read()).toBe(`-${plainRefused}\r\n`)
      expect(world.proxy(worker).clientTls.config).toMatchObject({
        mode: 'enabled',
        clientCertificates: 'optional',
        minVersion: '1.3',
      })
    }
    // Another configuration ends it.
    for (const worker of [0, 1, 2]) {
      world.reconfigure(worker, { clientTls: { ...world.config.clientTls, mode: 'allowed' } })
      expect(world.proxy(worker).clientTls.config).toMatchObject({
        mode: 'allowed',
        clientCertificates: 'optional',
      })
    }
  })

  it('changes the subjects that are let in', () => {
    const world = new ProxyWorld({ clientTls: { ...files, mode: 'enabled', clientCertificates: 'required' } })
    const admin = world.client(overTls(certificate()))
    expect(admin.call('CONFIG', 'SET', 'tls-authorized-subjects', 'CN=other;CN=third,O=x')).toBe('+OK\r\n')
    expect(admin.call('CONFIG', 'GET', 'tls-authorized-subjects')).toContain('CN=other;CN=third,O=x')
    expect(world.client(overTls(certificate())).read()).toBe(`-${stranger}\r\n`)
    expect(admin.call('CONFIG', 'SET', 'tls-authorized-subjects', '')).toBe('+OK\r\n')
    expect(world.client(overTls(certificate())).call('PING')).toBe('+PONG\r\n')
  })

  it('says what there is in the words of Redis', () => {
    const world = new ProxyWorld({
      clientTls: {
        ...files,
        mode: 'allowed',
        clientCertificates: 'required',
        ciphers: 'A:B',
        cipherSuites: 'TLS_C',
      },
    })
    const values = [
      ['tls-auth-clients', 'yes'],
      ['tls-protocols', 'TLSv1.2 TLSv1.3'],
      ['tls-port', '12000'],
      ['tls-cert-file', '/s.crt'],
      ['tls-key-file', '/s.key'],
      ['tls-ca-cert-file', '/clients.crt'],
      ['tls-ciphers', 'A:B'],
      ['tls-ciphersuites', 'TLS_C'],
      ['tls-mode', 'allowed'],
    ] as const
    for (const [name, value] of values) expect(get(world, name)).toBe(value)
    expect(
      get(new ProxyWorld({ clientTls: { ...files, mode: 'allowed', minVersion: '1.3' } }), 'tls-protocols'),
    ).toBe('TLSv1.3')
    const plain = new ProxyWorld().client()
    expect(plain.call('CONFIG', 'GET', 'tls-port')).toContain('$1\r\n0\r\n')
  })

  it.each([
    ['tls-mode', 'on', 'argument(s) must be one of the following: disabled, replica_ssl, allowed, enabled'],
    ['tls-mode', 'enabled', 'Unable to update TLS configuration. Check server logs.'],
    ['tls-auth-clients', 'maybe', 'argument(s) must be one of the following: no, yes, optional'],
    ['tls-auth-clients', 'yes', 'Unable to update TLS configuration. Check server logs.'],
    ['tls-protocols', 'TLSv1.1 TLSv1.2', 'argument must be TLSv1.2 TLSv1.3 or TLSv1.3'],
    ['tls-protocols', 'TLSv1.2', 'argument must be TLSv1.2 TLSv1.3 or TLSv1.3'],
    ['tls-authorized-subjects', 'app', 'argument must be rules with semicolons between them'],
    ['tls-authorized-subjects', ';', 'argument must be rules with semicolons between them'],
    ['tls-authorized-subjects', '\\', 'argument must be rules with semicolons between them'],
    ['tls-authorized-subjects', 'CN=a\\', 'argument must be rules with semicolons between them'],
    ['tls-authorized-subjects', 'CN=a;'.repeat(65), 'argument must be at most 64 rules'],
    [
      'tls-authorized-subjects',
      `CN=${'a'.repeat(1025)}`,
      'argument must be rules with semicolons between them',
    ],
    ['tls-cert-file', '/x', "can't set immutable config"],
  ])('SET %s %s: %s', (name, value, why) => {
    const world = new ProxyWorld({ clientTls: { server } })
    const reply = world.client().call('CONFIG', 'SET', name, value)
    expect(reply).toContain(`-ERR CONFIG SET failed (possibly related to argument '${name}') - ${why}`)
    expect(world.client().call('PING')).toBe('+PONG\r\n')
  })
})

describe('INFO', () => {
  it.each([
    ['disabled', ['name=tcp,bind=127.0.0.1,port=12000'], false],
    ['allowed', ['name=tcp,bind=127.0.0.1,port=12000', 'name=tls,bind=127.0.0.1,port=12000'], true],
    ['enabled', ['name=tls,bind=127.0.0.1,port=12000'], true],
  ] as const)('%s', (mode, listeners, hasCertificate) => {
    const world = new ProxyWorld({ clientTls: { ...files, mode }, certificateDays: 12 })
    const client = world.client(mode === 'disabled' ? null : overTls())
    const fields = fieldsOf(client.call('INFO', 'server'))
    expect([fields['listener0'], fields['listener1']].filter(Boolean)).toEqual(listeners)
    expect(fields['tls_mode']).toBe(mode)
    expect(fields['tls_certificate_days_left']).toBe(hasCertificate ? '12' : undefined)
  })

  it('counts handshakes that failed, and RESETSTAT forgets them', () => {
    const world = new ProxyWorld()
    world.proxy.onHandshakeFailed('10.0.0.1:5', 'no shared cipher')
    const client = world.client()
    expect(fieldsOf(client.call('INFO', 'stats'))['tls_handshakes_failed']).toBe('1')
    client.call('CONFIG', 'RESETSTAT')
    expect(fieldsOf(client.call('INFO', 'stats'))['tls_handshakes_failed']).toBe('0')
  })
})

describe('the log', () => {
  it('has a line a minute of each address and reason, with how many there were', () => {
    const world = new MemoryWorld()
    const logger = new RecordingLogger()
    const refusals = new Refusals(world, logger)
    for (let port = 1; port <= 100; port++) refusals.tell(`10.0.0.1:${port}`, 'a', { subject: 's' })
    refusals.tell('10.0.0.1:1', 'b')
    refusals.tell('10.0.0.2:1', 'a')
    expect(logger.lines.map(({ facts }) => facts)).toEqual([
      { remoteAddress: '10.0.0.1:1', reason: 'a', subject: 's' },
      { remoteAddress: '10.0.0.1:1', reason: 'b' },
      { remoteAddress: '10.0.0.2:1', reason: 'a' },
    ])
    world.advance(60_000)
    refusals.tell('10.0.0.1:7', 'a')
    refusals.tell('10.0.0.2:7', 'a')
    expect(logger.lines.slice(3).map(({ facts }) => facts)).toEqual([
      { remoteAddress: '10.0.0.1:7', reason: 'a', notTold: 99 },
      { remoteAddress: '10.0.0.2:7', reason: 'a' },
    ])
  })

  it('forgets the oldest of too many', () => {
    const logger = new RecordingLogger()
    const refusals = new Refusals(new MemoryWorld(), logger)
    for (let i = 0; i <= refusalsMax; i++) refusals.tell(`10.0.0.1:${i}`, `reason ${i}`)
    refusals.tell('10.0.0.1:0', 'reason 1')
    expect(logger.lines).toHaveLength(refusalsMax + 1)
    refusals.tell('10.0.0.1:0', 'reason 0')
    expect(logger.lines).toHaveLength(refusalsMax + 2)
  })
})
