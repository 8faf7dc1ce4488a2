/** What CONFIG says and changes of how clients come over TLS: Redis's settings, and `tls-mode` and `tls-authorized-subjects` beside them. */
import type { ClientTlsConfig } from '#config/process.ts'
import { authorizedSubjectsMax, servesTls } from '#config/schema.ts'
import { subjectRuleForm, subjectRulePattern, subjectRules, subjectRulesText } from '#config/subjectRule.ts'
import { oneOf, type Setting } from './setting.ts'

const subjectBytesMax = 1024
const unusable = 'Unable to update TLS configuration. Check server logs.'

const modes: readonly string[] = [
  'disabled',
  'replica_ssl',
  'allowed',
  'enabled',
] satisfies ClientTlsConfig['mode'][]

/** Redis's words, in its order, for ours. */
const authentication: Readonly<Record<string, ClientTlsConfig['clientCertificates']>> = {
  no: 'disabled',
  yes: 'required',
  optional: 'optional',
}

const wordOf = (wanted: ClientTlsConfig['clientCertificates']): string =>
  Object.keys(authentication).find((word) => authentication[word] === wanted) ?? ''

/** In Redis's words; an empty one is the default. */
function lowestVersion(text: string): ClientTlsConfig['minVersion'] | null {
  const versions = new Set(text.toLowerCase().split(' ').filter(Boolean))
  const hasLower = versions.delete('tlsv1.2')
  const hasUpper = versions.delete('tlsv1.3')
  if (versions.size > 0 || (hasLower && !hasUpper)) return null
  return hasUpper && !hasLower ? '1.3' : '1.2'
}

function checkSubjects(text: string): string | null {
  const rules = subjectRules(text)
  if (rules.length > authorizedSubjectsMax) return `argument must be at most ${authorizedSubjectsMax} rules`
  const isWrong = (rule: string) => rule.length > subjectBytesMax || !subjectRulePattern.test(rule)
  // Nothing may be left out on the way: without any rule everybody would be let in.
  return rules.some(isWrong) || subjectRulesText(rules) !== text
    ? `argument must be rules with semicolons between them, each ${subjectRuleForm}`
    : null
}

/** Of several that are set together each is looked at by itself: what is missing for one is in the file. */
export const tlsSettings: Readonly<Record<string, Setting>> = {
  'tls-auth-clients': {
    get: ({ clientTls }) => wordOf(clientTls.config.clientCertificates),
    change: {
      name: 'tlsClientCertificates',
      check: (text, { clientTls }) => {
        const wrong = oneOf(Object.keys(authentication), text)
        const isUnusable = text.toLowerCase() !== 'no' && clientTls.config.authorityPath === null
        return wrong ?? (isUnusable ? unusable : null)
      },
      parse: (text) => authentication[text.toLowerCase()] ?? 'required',
    },
  },
  'tls-authorized-subjects': {
    get: ({ clientTls }) => subjectRulesText(clientTls.config.authorizedSubjects),
    change: { name: 'tlsAuthorizedSubjects', check: checkSubjects, parse: (text) => text },
  },
  'tls-ca-cert-file': { get: ({ clientTls }) => clientTls.config.authorityPath ?? '' },
  'tls-cert-file': { get: ({ clientTls }) => clientTls.config.server?.certificatePath ?? '' },
  'tls-ciphers': { get: ({ clientTls }) => clientTls.config.ciphers ?? '' },
  'tls-ciphersuites': { get: ({ clientTls }) => clientTls.config.cipherSuites ?? '' },
  'tls-key-file': { get: ({ clientTls }) => clientTls.config.server?.keyPath ?? '' },
  'tls-mode': {
    get: ({ clientTls }) => clientTls.config.mode,
    change: {
      name: 'tlsMode',
      check: (text, host) => {
        // What can't be shown would lock everybody out.
        const isUnusable =
          servesTls(text.toLowerCase() as ClientTlsConfig['mode']) && host.certificate() === null
        return oneOf(modes, text) ?? (isUnusable ? unusable : null)
      },
      parse: (text) => text.toLowerCase(),
    },
  },
  'tls-port': {
    get: ({ clientTls, config }) => (servesTls(clientTls.config.mode) ? String(config.database.port) : '0'),
  },
  'tls-protocols': {
    get: ({ clientTls }) => (clientTls.config.minVersion === '1.3' ? 'TLSv1.3' : 'TLSv1.2 TLSv1.3'),
    change: {
      name: 'tlsMinVersion',
      check: (text) => (lowestVersion(text) === null ? 'argument must be TLSv1.2 TLSv1.3 or TLSv1.3' : null),
      parse: (text) => lowestVersion(text) ?? '1.3',
    },
  },
}
