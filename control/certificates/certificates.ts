/**
 * Certificates for mutual TLS between clusters: one authority, one certificate a cluster, whose common name is the
 * cluster's name. The lab makes them; whoever runs clusters of its own brings certificates of its own, with the same two
 * properties. ECDSA P-256: small, fast to sign, and known to everything that speaks TLS 1.3.
 *
 * What exists and is still good is kept, so that a restart of the lab does not cut its clusters off from each other.
 */
import { createPrivateKey, X509Certificate as NodeCertificate } from 'node:crypto'
import fs from 'node:fs'
import path from 'node:path'
import type { TlsIdentity } from '#runtime/ports.ts'

export const authorityDays = 3650
export const certificateDays = 825
/** A certificate with less left than this is made anew. */
export const renewalDays = 30
/** Valid from before now, for nodes whose clock is behind. */
const backdatedDays = 1

const dayMs = 24 * 3600 * 1000
const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' }
const authorityName = 'Antipode authority'
const authorityFile = 'authority'

/** Loads the certificate library only when a certificate is made: it takes a sixth of a second. */
async function library() {
  await import('reflect-metadata')
  return import('@peculiar/x509')
}

/**
 * Makes sure that `directory` holds an authority (`authority.crt`, `authority.key`) and a certificate of it for each of
 * `names` (`NAME.crt`, `NAME.key`); returns where they are, by name.
 */
export async function ensureCertificates(
  directory: string,
  names: readonly string[],
): Promise<Map<string, TlsIdentity>> {
  fs.mkdirSync(directory, { recursive: true, mode: 0o700 })
  const authority = pathsOf(directory, authorityFile)
  if (!isGood(authority.certificatePath, authority.keyPath, null, authorityName))
    await makeAuthority(authority.certificatePath, authority.keyPath)
  const identities = new Map<string, TlsIdentity>()
  for (const name of names) {
    if (name === authorityFile) throw new Error(`the name ${name} is the authority's`)
    const files = pathsOf(directory, name)
    if (!isGood(files.certificatePath, files.keyPath, authority.certificatePath, name))
      await issue(authority, files, name)
    identities.set(name, { ...files, authorityPath: authority.certificatePath })
  }
  return identities
}

interface KeyPairFiles {
  certificatePath: string
  keyPath: string
}

function pathsOf(directory: string, name: string): KeyPairFiles {
  if (!/^[\w-][\w.-]*$/.test(name)) throw new Error(`cannot name certificate files after ${name}`)
  return {
    certificatePath: path.join(directory, `${name}.crt`),
    keyPath: path.join(directory, `${name}.key`),
  }
}

/** Whether both files are there, belong to `commonName`, will last, and the certificate is signed by the authority's. */
function isGood(
  certificatePath: string,
  keyPath: string,
  authorityPath: string | null,
  commonName: string,
): boolean {
  if (!fs.existsSync(certificatePath) || !fs.existsSync(keyPath)) return false
  try {
    const certificate = new NodeCertificate(fs.readFileSync(certificatePath))
    const leftMs = Date.parse(certificate.validTo) - Date.now()
    const signer = authorityPath === null ? certificate : new NodeCertificate(fs.readFileSync(authorityPath))
    return (
      leftMs > renewalDays * dayMs &&
      certificate.subject.split('\n').includes(`CN=${commonName}`) &&
      certificate.checkPrivateKey(createPrivateKey(fs.readFileSync(keyPath))) &&
      certificate.verify(signer.publicKey)
    )
  } catch {
    // Half a file, or not a certificate at all: it is made anew.
    return false
  }
}

async function makeAuthority(certificatePath: string, keyPath: string): Promise<void> {
  const x509 = await library()
  const keys = await crypto.subtle.generateKey(algorithm, true, ['sign', 'verify'])
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    name: `CN=${authorityName}`,
    keys,
    ...validity(authorityDays),
    serialNumber: serialNumber(),
    signingAlgorithm: algorithm,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  })
  await store(keys.privateKey, keyPath, certificate.toString('pem'), certificatePath)
}

async function issue(authority: KeyPairFiles, files: KeyPairFiles, commonName: string): Promise<void> {
  const x509 = await library()
  const issuer = new x509.X509Certificate(fs.readFileSync(authority.certificatePath, 'latin1'))
  const signingKey = await crypto.subtle.importKey(
    'pkcs8',
    x509.PemConverter.decodeFirst(fs.readFileSync(authority.keyPath, 'latin1')),
    algorithm,
    false,
    ['sign'],
  )
  const keys = await crypto.subtle.generateKey(algorithm, true, ['sign', 'verify'])
  const certificate = await x509.X509CertificateGenerator.create({
    subject: `CN=${commonName}`,
    issuer: issuer.subject,
    publicKey: keys.publicKey,
    signingKey,
    ...validity(certificateDays),
    serialNumber: serialNumber(),
    signingAlgorithm: algorithm,
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension([
        x509.ExtendedKeyUsage.serverAuth,
        x509.ExtendedKeyUsage.clientAuth,
      ]),
      // For `redis-cli --tls`, which checks the host name.
      new x509.SubjectAlternativeNameExtension([
        { type: 'dns', value: commonName },
        { type: 'dns', value: 'localhost' },
        { type: 'ip', value: '127.0.0.1' },
      ]),
      await x509.AuthorityKeyIdentifierExtension.create(issuer.publicKey),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  })
  await store(keys.privateKey, files.keyPath, certificate.toString('pem'), files.certificatePath)
}

const validity = (days: number): { notBefore: Date; notAfter: Date } => ({
  notBefore: new Date(Date.now() - backdatedDays * dayMs),
  notAfter: new Date(Date.now() + days * dayMs),
})

/** 127 random bits, as hexadecimal digits: positive, and never seen before. */
function serialNumber(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16))
  bytes[0] = ((bytes[0] as number) & 0x7f) | 0x40
  return Buffer.from(bytes).toString('hex')
}

async function store(
  key: CryptoKey,
  keyPath: string,
  certificate: string,
  certificatePath: string,
): Promise<void> {
  const x509 = await library()
  const pem = x509.PemConverter.encode(await crypto.subtle.exportKey('pkcs8', key), 'PRIVATE KEY')
  // Each file appears whole or not at all; a key and a certificate that don't match are told apart at the next start.
  writeWhole(keyPath, `${pem}\n`, 0o600)
  writeWhole(certificatePath, `${certificate}\n`, 0o644)
}

function writeWhole(filePath: string, content: string, mode: number): void {
  const temporary = `${filePath}.new`
  fs.rmSync(temporary, { force: true })
  fs.writeFileSync(temporary, content, { mode, flush: true })
  fs.renameSync(temporary, filePath)
}
