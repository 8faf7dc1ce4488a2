/** What workers go by, and CONFIG SET changes. */
import type { ClientLimits, ClientTlsConfig, ProxyConfig } from '#config/process.ts'
import { subjectRules, subjectRulesText } from '#config/subjectRule.ts'

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

export const configuredSettings = ({ limits, clientTls }: ProxyConfig): Settings => ({
  ...limits,
  idleMs: 0,
  aclPubsubAll: 0,
  latencyTracking: 1,
  tlsMode: clientTls.mode,
  tlsClientCertificates: clientTls.clientCertificates,
  tlsMinVersion: clientTls.minVersion,
  tlsAuthorizedSubjects: subjectRulesText(clientTls.authorizedSubjects),
})

/** Those of TLS apart. */
export function settingsAndTls(settings: Settings): Omit<Settings, `tls${string}`> & { tls: TlsSettings } {
  const { tlsMode, tlsClientCertificates, tlsMinVersion, tlsAuthorizedSubjects, ...others } = settings
  const tls = {
    mode: tlsMode,
    clientCertificates: tlsClientCertificates,
    minVersion: tlsMinVersion,
    authorizedSubjects: subjectRules(tlsAuthorizedSubjects),
  }
  return { ...others, tls }
}
