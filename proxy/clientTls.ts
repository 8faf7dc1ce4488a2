/** Who may come to the database's port as a client: by the mode, with or without TLS, with which certificate. */
import type { ClientTlsConfig } from '#config/process.ts'
import { servesTls } from '#config/schema.ts'
import { ruleHolds, type SubjectRule, subjectRule } from '#config/subjectRule.ts'
import type { TlsFacts } from '#runtime/tlsFacts.ts'

export type ClientFacts = Extract<TlsFacts, { use: 'client' }>

export interface Refusal {
  /** What the client is told. */
  error: string
  /** For the log. */
  reason: string
}

/** What clients may agree on when they name protocols. */
export const clientAlpn = 'redis'

const plainRefused: Refusal = {
  error: 'ERR this database takes clients over TLS only; connect with TLS',
  reason: 'it came without TLS',
}
const tlsRefused: Refusal = {
  error: 'ERR TLS is for peer clusters here; connect without it',
  reason: 'it came over TLS',
}
const certificateNeeded: Refusal = {
  error: 'ERR a client certificate is needed here',
  reason: 'it has shown no certificate',
}

export class ClientTls {
  readonly config: ClientTlsConfig
  readonly #subjects: readonly SubjectRule[]

  constructor(config: ClientTlsConfig) {
    this.config = config
    this.#subjects = config.authorizedSubjects.map(subjectRule)
  }

  /** Whether they are asked for certificates. */
  get asks(): boolean {
    return servesTls(this.config.mode) && this.config.clientCertificates !== 'disabled'
  }

  /** Of a client; null: it is let in. */
  refusalOf(facts: ClientFacts | null): Refusal | null {
    const { mode, clientCertificates } = this.config
    if (facts === null) return mode === 'enabled' ? plainRefused : null
    if (!servesTls(mode)) return tlsRefused
    if (clientCertificates === 'disabled') return null
    const { certificate } = facts
    if (certificate === null) return clientCertificates === 'required' ? certificateNeeded : null
    const { fault, subject } = certificate
    if (fault !== null)
      return {
        error: `ERR the client certificate is not accepted: ${fault}`,
        reason: `its certificate is bad: ${fault}`,
      }
    if (this.#subjects.length === 0 || this.#subjects.some((rule) => ruleHolds(rule, subject))) return null
    return {
      error: 'ERR the subject of the client certificate is not authorized here',
      reason: 'the subject of its certificate is not authorized',
    }
  }
}
