import { createPrivateKey, X509Certificate } from 'node:crypto'
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { certificateDays, ensureCertificates } from '#control/certificates/certificates.ts'
import type { TlsIdentity } from '#runtime/ports.ts'

let directory: string
beforeEach(() => {
  directory = fs.mkdtempSync(path.join(os.tmpdir(), 'antipode-certificates-'))
})
afterEach(() => fs.rmSync(directory, { recursive: true }))

const identityOf = (identities: Map<string, TlsIdentity>, name: string): TlsIdentity => {
  const identity = identities.get(name)
  if (identity === undefined) throw new Error(`no identity of ${name}`)
  return identity
}

test('an authority and a certificate for each name', async () => {
  const identities = await ensureCertificates(directory, ['cluster-1', 'cluster-2'])
  expect([...identities.keys()]).toEqual(['cluster-1', 'cluster-2'])
  for (const [name, identity] of identities) {
    const certificate = new X509Certificate(fs.readFileSync(identity.certificatePath))
    const authority = new X509Certificate(fs.readFileSync(identity.authorityPath))
    expect(certificate.subject).toBe(`CN=${name}`)
    expect(certificate.ca).toBe(false)
    expect(authority.ca).toBe(true)
    expect(certificate.checkIssued(authority)).toBe(true)
    expect(certificate.verify(authority.publicKey)).toBe(true)
    expect(certificate.checkPrivateKey(createPrivateKey(fs.readFileSync(identity.keyPath)))).toBe(true)
    expect(certificate.checkHost('localhost')).toBe('localhost')
    const days = (Date.parse(certificate.validTo) - Date.now()) / 86_400_000
    expect(Math.round(days)).toBe(certificateDays)
    expect(Date.parse(certificate.validFrom)).toBeLessThan(Date.now() - 3_600_000)
  }
})

test('keys can be read by their owner only', async () => {
  await ensureCertificates(directory, ['a'])
  for (const file of ['authority.key', 'a.key'])
    expect(fs.statSync(path.join(directory, file)).mode & 0o777).toBe(0o600)
})

test('what is there and good is kept; what is not is made anew', async () => {
  const first = identityOf(await ensureCertificates(directory, ['a']), 'a')
  const kept = fs.readFileSync(first.certificatePath, 'latin1')
  await ensureCertificates(directory, ['a', 'b'])
  expect(fs.readFileSync(first.certificatePath, 'latin1')).toBe(kept)

  fs.writeFileSync(first.certificatePath, 'garbage')
  await ensureCertificates(directory, ['a'])
  expect(fs.readFileSync(first.certificatePath, 'latin1')).toContain('BEGIN CERTIFICATE')

  // Of another authority: useless, whatever it says.
  const renewed = fs.readFileSync(first.certificatePath, 'latin1')
  fs.rmSync(path.join(directory, 'authority.key'))
  await ensureCertificates(directory, ['a'])
  expect(fs.readFileSync(first.certificatePath, 'latin1')).not.toBe(renewed)
})

test('a name that is no file name is refused', async () => {
  await expect(ensureCertificates(directory, ['../a'])).rejects.toThrow('cannot name certificate files')
})
