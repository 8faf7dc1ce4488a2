import { describe, expect, it } from 'vitest'
import {
  ruleHolds,
  subjectRule,
  subjectRulePattern,
  subjectRules,
  subjectRulesText,
} from '#config/subjectRule.ts'

const subject = { CN: ['app'], O: ['Example, Inc.'], OU: ['a', 'b'], SAN: ['app.example', 'spiffe://x/app'] }

describe('a rule for subjects', () => {
  it.each([
    ['CN=app', true],
    ['CN=App', false],
    ['CN=ap', false],
    ['O=Example\\, Inc.', true],
    ['O=Example', false],
    ['CN=app,OU=a', true],
    ['CN=app, OU=b,OU=a', true],
    ['CN=app,OU=a,OU=c', false],
    ['SAN=app.example', true],
    ['SAN=spiffe://x/app', true],
    ['CN=app.example', false],
    ['L=here', false],
  ])('%s: %s', (text, holds) => {
    expect(subjectRulePattern.test(text)).toBe(true)
    expect(ruleHolds(subjectRule(text), subject)).toBe(holds)
  })

  it.each(['', 'app', 'CN=', 'CN=a,', 'CN=a,b', 'cn=a', 'DN=a', 'CN=a;O=b', 'CN=a\\', 'CN=a\\b'])(
    'is not %j',
    (text) => {
      expect(subjectRulePattern.test(text)).toBe(false)
    },
  )

  it('may stand in one text with others', () => {
    const rules = ['CN=a\\;b,O=c', 'CN=d\\\\', 'SAN=e']
    expect(subjectRules(subjectRulesText(rules))).toEqual(rules)
    expect(subjectRules('')).toEqual([])
  })
})
