/** Tells in the log, once a day, of the node's certificates that are about to expire. */
import { X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'
import type { NodeSettings } from '#config/schema.ts'
import type { Clock, Logger, Timers } from '#runtime/ports.ts'

/** So early, in days. */
export const warningDays = 30
const dayMs = 24 * 3600 * 1000

export interface CertificateWatchPorts {
  clock: Clock
  timers: Timers
  logger: Logger
}

export class CertificateWatch {
  readonly #tls: () => NodeSettings['tls']
  readonly #ports: CertificateWatchPorts
  #cancel: () => void = () => {}

  constructor(tls: () => NodeSettings['tls'], ports: CertificateWatchPorts) {
    this.#tls = tls
    this.#ports = ports
  }

  /** Now, and then daily. */
  look(): void {
    this.stop()
    const { certificate, authority, serverCertificate, clientAuthority } = this.#tls()
    for (const path of new Set([certificate, authority, serverCertificate, clientAuthority]))
      if (path !== null) this.#lookAt(path)
    this.#cancel = this.#ports.timers.after(dayMs, () => this.look())
  }

  stop(): void {
    this.#cancel()
  }

  #lookAt(path: string): void {
    const { clock, logger } = this.#ports
    try {
      for (const { subject, validTo } of certificatesIn(readFileSync(path, 'latin1'))) {
        const daysLeft = Math.floor((Date.parse(validTo) - clock.wallMs()) / dayMs)
        const facts = {
          path,
          subject: subject.replaceAll('\n', ', '),
          expires: new Date(validTo).toISOString(),
        }
        if (daysLeft < 0) logger.error(facts, 'a certificate has expired')
        else if (daysLeft < warningDays) logger.warn({ ...facts, daysLeft }, 'a certificate expires soon')
      }
    } catch (error) {
      logger.error({ path, error: String(error) }, 'a certificate can not be read')
    }
  }
}

const certificatesIn = (pem: string): X509Certificate[] =>
  [...pem.matchAll(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g)].map(
    ([one]) => new X509Certificate(one),
  )
