/** Certificates of all kinds, such as those that a server must not take. */
import fs from 'node:fs'
import path from 'node:path'
import 'reflect-metadata'
import * as x509 from '@peculiar/x509'
import type { TlsIdentity } from '#runtime/ports.ts'

const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' }
const dayMs = 24 * 3600 * 1000

export interface Wanted {
  /** Such as `CN=app,OU=a,OU=b`. */
  subject: string
  names?: x509.JsonGeneralNames
  /** From now on; below 0: it has expired. */
  days?: number
}

export class Authority {
  readonly path: string
  readonly #directory: string
  readonly #key: CryptoKey
  readonly #certificate: x509.X509Certificate
  #issued = 0

  private constructor(directory: string, key: CryptoKey, certificate: x509.X509Certificate) {
    this.#directory = directory
    this.#key = key
    this.#certificate = certificate
    this.path = path.join(directory, 'authority.crt')
    fs.writeFileSync(this.path, certificate.toString('pem'))
  }

  static async make(directory: string, days = 10): Promise<Authority> {
    fs.mkdirSync(directory, { recursive: true })
    const keys = await crypto.subtle.generateKey(algorithm, true, ['sign', 'verify'])
    const certificate = await x509.X509CertificateGenerator.createSelfSigned({
      name: `CN=Authority of ${path.basename(directory)}`,
      keys,
      ...validity(days),
      signingAlgorithm: algorithm,
      extensions: [new x509.BasicConstraintsExtension(true, 0, true)],
    })
    return new Authority(directory, keys.privateKey, certificate)
  }

  async issue({ subject, names = [], days = 10 }: Wanted): Promise<TlsIdentity> {
    const keys = await crypto.subtle.generateKey(algorithm, true, ['sign', 'verify'])
    const certificate = await x509.X509CertificateGenerator.create({
      subject,
      issuer: this.#certificate.subject,
      publicKey: keys.publicKey,
      signingKey: this.#key,
      ...validity(days),
      signingAlgorithm: algorithm,
      extensions: [
        new x509.BasicConstraintsExtension(false, undefined, true),
        ...(names.length === 0 ? [] : [new x509.SubjectAlternativeNameExtension(names)]),
      ],
    })
    const file = path.join(this.#directory, `issued-${this.#issued++}`)
    const key = await crypto.subtle.exportKey('pkcs8', keys.privateKey)
    fs.writeFileSync(`${file}.crt`, certificate.toString('pem'))
    fs.writeFileSync(`${file}.key`, x509.PemConverter.encode(key, 'PRIVATE KEY'))
    return { certificatePath: `${file}.crt`, keyPath: `${file}.key`, authorityPath: this.path }
  }
}

const validity = (days: number): { notBefore: Date; notAfter: Date } => ({
  notBefore: new Date(Date.now() - 100 * dayMs),
  notAfter: new Date(Date.now() + days * dayMs),
})
