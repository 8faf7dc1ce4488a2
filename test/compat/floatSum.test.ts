/** The judge of INCRBYFLOAT: exact decimals here, 80-bit floats there. */
import { describe, expect, it } from 'vitest'
import { bytesOf } from '#runtime/bytes/bytes.ts'
import { floatSum } from './randomSteps.ts'
import { redisForTests } from './redisSide.ts'
import { decodeReply } from './reply.ts'

const redis = redisForTests()
const bulk = (text: string): Uint8Array => bytesOf(`$${text.length}\r\n${text}\r\n`)
const request = ['INCRBYFLOAT', 'k', '0.5']
const step = floatSum(request, (text) => ['SET', 'k', text])

const isTaken = (own: string, theirs: string): boolean => step.judge([bulk(own)], [bulk(theirs)]) === null

describe('a sum of floats', () => {
  it.each([20, 299, 300, 380, 600, 4000])(
    'of %i digits is as Redis has it, but for its noise',
    async (digits) => {
      for (const digit of ['9', '1']) {
        const exact = digit.repeat(digits)
        const [, reply] = await redis.side().send([['SET', 'k', exact], request])
        const theirs = decodeReply(reply as Uint8Array).text
        expect(isTaken(`${exact}.5`, theirs)).toBe(true)
        expect(isTaken(`${exact}0`, theirs)).toBe(false)
        expect(isTaken(`-${exact}`, theirs)).toBe(false)
        expect(isTaken(`2${exact.slice(1)}`, theirs)).toBe(false)
      }
    },
  )

  it('of few digits is equal up to the last ones', () => {
    expect(isTaken('0.3', '0.30000000000000000001')).toBe(true)
    expect(isTaken('0.3', '0.3000001')).toBe(false)
  })
})
