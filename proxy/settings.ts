/**
 * What CONFIG SET has changed, in all workers of the node. The latest change of a setting counts, whichever worker it was
 * made at, until the configuration itself says something else than it said then, or until no worker is left that knows.
 */
import type { ClientLimits, ClientTlsConfig, ProxyConfig } from '#config/process.ts'
import { subjectRules, subjectRulesText } from '#config/subjectRule.ts'
import type { SharedSetting } from '#protocol/frames/worker.ts'
import { isNewer, type VersionClock } from './siblings/versionClock.ts'

export interface Settings extends ClientLimits {
  /** Clients that say nothing for so long are disconnected; 0: never. */
  idleMs: number
  /** 1: new users may use every channel, before their rules. */
  aclPubsubAll: number
  /** 1: how long commands take is counted for LATENCY HISTOGRAM. */
  latencyTracking: number
  tlsMode: ClientTlsConfig['mode']
  tlsClientCertificates: ClientTlsConfig['clientCertificates']
  tlsMinVersion: ClientTlsConfig['minVersion']
  /** As one text: see `subjectRules`. */
  tlsAuthorizedSubjects: string
}

type TlsSettings = Pick<ClientTlsConfig, 'mode' | 'clientCertificates' | 'minVersion' | 'authorizedSubjects'>
type CurrentSettings = Omit<Settings, `tls${string}`> & { tls: TlsSettings }

const configured = ({ limits, clientTls }: ProxyConfig): Settings => ({
  ...limits,
  idleMs: 0,
  aclPubsubAll: 0,
  latencyTracking: 1,
  tlsMode: clientTls.mode,
  tlsClientCertificates: clientTls.clientCertificates,
  tlsMinVersion: clientTls.minVersion,
  tlsAuthorizedSubjects: subjectRulesText(clientTls.authorizedSubjects),
})

export class ChangedSettings {
  readonly #versions: VersionClock
  readonly #changes = new Map<keyof Settings, SharedSetting>()
  #configured: Settings

  constructor(config: ProxyConfig, versions: VersionClock) {
    this.#configured = configured(config)
    this.#versions = versions
  }

  /** What is in force. */
  get current(): CurrentSettings {
    const values = [...this.#changes].map(([name, { value }]) => [name, value])
    const { tlsMode, tlsClientCertificates, tlsMinVersion, tlsAuthorizedSubjects, ...others }: Settings = {
      ...this.#configured,
      ...Object.fromEntries(values),
    }
    const tls = {
      mode: tlsMode,
      clientCertificates: tlsClientCertificates,
      minVersion: tlsMinVersion,
      authorizedSubjects: subjectRules(tlsAuthorizedSubjects),
    }
    return { ...others, tls }
  }

  /** For the other workers. */
  get shared(): Record<string, SharedSetting> {
    return Object.fromEntries(this.#changes)
  }

  configure(config: ProxyConfig): void {
    this.#configured = configured(config)
    for (const [name, { over }] of this.#changes)
      if (over !== this.#configured[name]) this.#changes.delete(name)
  }

  change(values: Partial<Settings>): void {
    for (const name of namesIn(values)) {
      const value = values[name]
      if (value === undefined) continue
      this.#changes.set(name, { ...this.#versions.next(), value, over: this.#configured[name] })
    }
  }

  /** Takes over what is newer; returns whether anything was. */
  take(heard: Readonly<Record<string, SharedSetting>>): boolean {
    let isChanged = false
    for (const name of namesIn(this.#configured)) {
      const change = heard[name]
      if (change === undefined || typeof change.value !== typeof this.#configured[name]) continue
      this.#versions.saw(change)
      const own = this.#changes.get(name)
      if (change.over !== this.#configured[name] || (own !== undefined && !isNewer(change, own))) continue
      this.#changes.set(name, change)
      isChanged = true
    }
    return isChanged
  }
}

const namesIn = (values: Partial<Settings>): (keyof Settings)[] => Object.keys(values) as (keyof Settings)[]
