import { describe, expect, test } from 'vitest'
import { production } from './replica.ts'
import { scripts } from './scripts.ts'

describe('rare orders', () => {
  test.each(Object.keys(scripts))('%s', (name) => {
    expect(() => scripts[name]?.(production)).not.toThrow()
  })
})
