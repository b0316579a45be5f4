import { readFileSync } from 'node:fs'
import { expectTypeOf } from 'expect-type'
import t from 'tap'
import { errors, type SessionErrorCode } from '../../lib/index.js'

t.test('the union of codes is made of literals, and each error has one of its own', async (t) => {
  expectTypeOf<'FST_SESSION_OPTION' | 'FST_SESSION_DATABASE_UNAVAILABLE' | 'FST_SESSION_STILL_OPEN'>().toExtend<SessionErrorCode>()
  expectTypeOf<string>().not.toExtend<SessionErrorCode>()
  // @ts-expect-error a misspelt code
  'FST_SESSION_OPTIONS' satisfies SessionErrorCode
  expectTypeOf(new errors.SessionGoneError('GET /')).toHaveProperty('code').toEqualTypeOf<string & 'FST_SESSION_GONE'>()
  const codes = Object.values(errors).map((SomeError) => new (SomeError as new () => { code: string })().code)
  t.equal(new Set(codes).size, codes.length)
  t.ok(codes.every((code) => /^FST_SESSION_[A-Z_]+$/.test(code)))
})

t.test('docs/errors.md has each code and its status', async (t) => {
  const page = readFileSync(new URL('../../docs/errors.md', import.meta.url), 'utf8')
  const told = [...page.matchAll(/^\| `(\w+)` \| (\d+) \|/gm)].map(([, code, status]) => `${code} ${status}`)
  const real = Object.values(errors).map((SomeError) => new (SomeError as new () => { code: string, statusCode: number })()).map(({ code, statusCode }) => `${code} ${statusCode}`)
  t.strictSame(told.sort(), real.sort())
})
