/** What the other side of a TLS connection has shown of itself. */
import type { TLSSocket } from 'node:tls'
import type { CertificateSubject, PresentedCertificate } from '#runtime/tlsFacts.ts'

/** Null: nothing. */
export function presentedCertificate(socket: TLSSocket): PresentedCertificate | null {
  const certificate = socket.getPeerCertificate()
  // Node's type denies it, but there may be none.
  const fields = certificate.subject as unknown as Readonly<Record<string, unknown>> | undefined
  if (fields === undefined) return null
  return {
    subject: { ...subjectOf(fields), SAN: alternativeNames(certificate.subjectaltname ?? '') },
    fault: socket.authorized ? null : String(socket.authorizationError ?? 'unknown'),
  }
}

function subjectOf(fields: Readonly<Record<string, unknown>>): CertificateSubject {
  const values = (value: unknown): string[] => (Array.isArray(value) ? value : [value]).map(String)
  return Object.fromEntries(Object.entries(fields).map(([name, value]) => [name, values(value)]))
}

/** Of a text such as `DNS:a.example, URI:spiffe://b`; a value in quotes is JSON, so that no name can pass for two. */
export function alternativeNames(text: string): string[] {
  return [...text.matchAll(/(?:^|, )[^:,]+:("(?:[^"\\]|\\.)*"|[^,]*)/g)].map(([, value = '']) =>
    value.startsWith('"') ? String(JSON.parse(value)) : value,
  )
}
