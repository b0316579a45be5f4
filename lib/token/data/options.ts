import { checkOptions, isObject, oneOf, rules, wholeNumber, type Checked, type Rule } from '../../util/option-rules.js'

/**
 * A schema of a session's data, as Standard Schema (https://standardschema.dev) defines it: schemas of zod, valibot and arktype are.
 *
 * @typeParam Data the data that it returns
 * @example
 * ```ts
 * import { tokenSessions, type DataSchema } from 'fastify-request-session'
 *
 * const schema: DataSchema<{ visits: number }> = {
 *   '~standard': {
 *     version: 1, vendor: 'my app',
 *     validate: (value) => Number.isInteger(Object(value).visits) ? { value } : { issues: [{ message: 'a whole number', path: ['visits'] }] },
 *   },
 * }
 * const users = tokenSessions({ data: { schema, initial: () => ({ visits: 0 }) } })
 * console.log((await users.create()).get('visits')) // 0
 * ```
 */
export interface DataSchema<Data> {
  readonly '~standard': {
    readonly version: 1
    readonly vendor: string
    readonly validate: (value: unknown) => SchemaResult | Promise<SchemaResult>
    readonly types?: { readonly input: unknown, readonly output: Data } | undefined
  }
}

/** The result of a schema: the data, or its issues. */
export interface SchemaResult {
  readonly value?: unknown
  readonly issues?: readonly SchemaIssue[] | undefined
}

/** The place of an invalid part of the data, and the reason. */
export interface SchemaIssue {
  readonly message: string
  readonly path?: ReadonlyArray<PropertyKey | { readonly key: PropertyKey }> | undefined
}

interface DataVersions<Data> {
  /** The version of the data, a whole number: raise it with each change of their structure. It is stored with each session, outside of the data. @default 0 */
  version?: number | undefined
  /**
   * Returns data of this version from older data, synchronously; the schema validates them afterwards. It runs at each read until the session is
   * written, which stores the result. Without it, older data are used as they are.
   */
  migrate?: ((data: Record<string, unknown>, version: number) => NoInfer<Partial<Data>>) | undefined
  /**
   * A request with invalid stored data, or data of a newer version: `'fail'` replies `FST_SESSION_DATA` (500), `'fresh'`
   * continues with a new session. The stored session stays unchanged in both cases.
   * @default 'fail'
   */
  onInvalid?: 'fail' | 'fresh' | undefined
}

/**
 * Rules for the data of sessions: `tokenSessions({ data })`.
 *
 * @example
 * ```ts
 * import { tokenSessions, type DataOptions } from 'fastify-request-session'
 *
 * type Data = { items: string[], theme?: 'dark' | 'light' }
 * const data: DataOptions<Data> = {
 *   initial: () => ({ items: [] }),
 *   version: 2,
 *   migrate: ({ basket }, version) => ({ items: version < 2 ? basket as string[] : [] }),
 * }
 * const users = tokenSessions({ data })
 * ```
 */
export type DataOptions<Data extends object> = DataVersions<Data> & ({
  /**
   * A Standard Schema of all data, of zod, valibot or arktype for example; it must validate synchronously. The types of the session
   * are those of its output.
   */
  schema: DataSchema<Data>
  /** Returns the data of a new or cleared session. Called at boot too, to check its result. */
  initial?: (() => NoInfer<Data>) | undefined
} | {
  schema?: undefined
  initial?: (() => Partial<Data>) | undefined
})

/** The options without their types. */
export type CheckedDataOptions = Checked<DataVersions<object> & { schema: DataSchema<unknown>, initial: () => unknown }>

const isSchema = (value: unknown): boolean => {
  // The schemas of arktype are functions.
  const standard: unknown = (typeof value === 'function' || isObject(value)) && (value as unknown as Record<string, unknown>)['~standard']
  return isObject(standard) && standard['version'] === 1 && typeof standard['validate'] === 'function'
}

const dataRules: Record<'version' | 'migrate' | 'onInvalid' | 'schema' | 'initial', Rule> = {
  version: wholeNumber('versions', 0),
  migrate: rules.function,
  onInvalid: oneOf('fail', 'fresh'),
  schema: { allowed: 'a Standard Schema (with \'~standard\', version 1), such as one of zod, valibot or arktype', test: isSchema },
  initial: rules.function,
}

/** @throws OptionError (`FST_SESSION_OPTION`) */
export function checkDataOptions (options: unknown): CheckedDataOptions {
  return checkOptions<Required<CheckedDataOptions>>('tokenSessions({ data })', options, dataRules) as CheckedDataOptions
}
