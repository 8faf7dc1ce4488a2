/** What TLS says of a connection that came in: whom it was for, and who the other side has proved to be. */
export type TlsFacts =
  /** A peer cluster's syncer, by the common name of its certificate; null unless our authority vouches for it now. */
  | { use: 'peer'; name: string | null }
  /** Null: it has shown no certificate, or was asked for none. */
  | { use: 'client'; certificate: PresentedCertificate | null }

export interface PresentedCertificate {
  subject: CertificateSubject
  /** Why nobody whom we trust vouches for it now, such as `CERT_HAS_EXPIRED`; null: somebody does. */
  fault: string | null
}

/** Values by attribute: `CN`, `O`, `OU` and so on, and `SAN` for the alternative names of all kinds. */
export type CertificateSubject = Readonly<Record<string, readonly string[]>>
