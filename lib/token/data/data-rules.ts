import { report, type Log } from '../../core/events.js'
import { OptionError, SessionDataError } from '../../errors.js'
import { atOnce, isPromise } from '../../util/maybe-promise.js'
import { describeType, show } from '../../util/option-rules.js'
import { isKey, isStorable, isStorableObject, parseValue } from '../values.js'
import { describeIssues } from './issues.js'
import { checkDataOptions, type CheckedDataOptions, type SchemaResult } from './options.js'

/** Data as keys and JSON texts. */
export type Texts = Map<string, string>

type Data = Record<string, unknown>

/** The package's own keys. The app's rules do not see them. */
const ownKeys: readonly string[] = ['neo4j:bookmarks']

const leftAlone = 'They were left as they are.'

/** The rules of a provider's data: initial data, the schema, and migrations of older versions. */
export class DataRules {
  /** 0: none. */
  readonly version: number
  readonly onInvalid: 'fail' | 'fresh'
  readonly #options: CheckedDataOptions
  readonly #told = new Set<SessionDataError['why']>()

  /** @throws OptionError (`FST_SESSION_OPTION`), also for initial data that do not fit, and for a schema that answers with a promise */
  constructor (options: unknown) {
    this.#options = checkDataOptions(options)
    this.version = this.#options.version ?? 0
    this.onInvalid = this.#options.onInvalid ?? 'fail'
    try {
      this.initial('the app')
    } catch (error) {
      if (error instanceof SessionDataError && error.cause === undefined) throw new OptionError('tokenSessions({ data })', `the data of a new session do not fit: ${error.problem}`)
      throw error instanceof SessionDataError ? error.cause : error
    }
  }

  /**
   * The data of a new session; none if there is no `initial` and the schema requires data.
   * @throws SessionDataError (`FST_SESSION_DATA`)
   */
  initial (route: string): Texts {
    if (this.#options.initial !== undefined) return this.created(new Map(), route)
    const result = this.#validate({}, route)
    return result.issues === undefined ? this.#textsOf(result.value, route, 'the schema') : new Map()
  }

  /**
   * The data of a session that is created with data.
   * @throws SessionDataError (`FST_SESSION_DATA`)
   */
  created (given: Texts, route: string): Texts {
    const { initial } = this.#options
    const texts = initial === undefined ? new Map<string, string>() : this.#textsOf(this.#run(route, 'initial()', initial), route, 'initial()')
    for (const [key, text] of given) texts.set(key, text)
    return this.#shown(texts, route, 'Nothing was saved.')
  }

  /**
   * The data as the session shows them: migrated, and as the schema returns them. Keys that it drops stay, since plugins keep theirs there.
   * @throws SessionDataError (`FST_SESSION_DATA`); RecordError (`FST_SESSION_RECORD`) for a text that is not JSON
   */
  read (fields: Texts, dataVersion: number, route: string): Texts {
    const { migrate } = this.#options
    if (dataVersion === this.version || migrate === undefined) return this.#shown(fields, route, leftAlone)
    const migrated = this.#run(route, `migrate() of version ${dataVersion}`, () => migrate(dataOf(fields), dataVersion))
    const texts = this.#textsOf(migrated, route, 'migrate()')
    for (const key of ownKeys) if (fields.has(key)) texts.set(key, fields.get(key) as string)
    return this.#shown(texts, route, leftAlone)
  }

  /**
   * Refuses data of a newer version: this app would destroy them.
   * @throws SessionDataError (`FST_SESSION_DATA`)
   */
  refuseNewer (dataVersion: number, route: string): void {
    if (dataVersion > this.version) throw new SessionDataError(route, `they are of version ${dataVersion}, and this app knows version ${this.version}.`, leftAlone, 'newer')
  }

  /**
   * Refuses data that do not fit, before they are written.
   * @throws SessionDataError (`FST_SESSION_DATA`)
   */
  check (texts: Texts, route: string): void {
    if (this.#options.schema !== undefined) this.#refuse(dataOf(texts), route, 'Nothing was saved.')
  }

  /** Logged once per kind of problem, since every request of such a session has it. */
  tell (error: SessionDataError, log: Log | undefined, route: string): void {
    if (this.#told.has(error.why)) return
    this.#told.add(error.why)
    report(log, 'warn', { err: error, route }, 'the data of a stored session do not fit: its visitor gets a new session. This is logged once')
  }

  #shown (texts: Texts, route: string, consequence: string): Texts {
    if (this.#options.schema === undefined) return texts
    const shown = new Map(texts)
    for (const [key, text] of this.#textsOf(this.#refuse(dataOf(texts), route, consequence), route, 'the schema')) if (!isSame(text, texts.get(key))) shown.set(key, text)
    return shown
  }

  /** Returns the data as the schema returns them. */
  #refuse (data: Data, route: string, consequence: string): unknown {
    const result = this.#validate(data, route)
    if (result.issues === undefined) return result.value
    throw new SessionDataError(route, describeIssues(result.issues, data), consequence, 'invalid')
  }

  #validate (data: Data, route: string): SchemaResult {
    const { schema } = this.#options
    if (schema === undefined) return { value: data }
    const result = this.#run(route, 'the schema', () => schema['~standard'].validate(data))
    if (!isPromise(result)) return result
    throw new SessionDataError(route, 'the schema answers with a promise, and has to answer at once.', '', 'invalid')
  }

  /** An error of the app's own function becomes the cause of an error that names the function. */
  #run<T> (route: string, name: string, run: () => T): T {
    try {
      return atOnce(run())
    } catch (cause) {
      throw new SessionDataError(route, `${name} has failed.`, '', 'invalid', { cause })
    }
  }

  #textsOf (data: unknown, route: string, from: string): Texts {
    if (!isStorableObject(data)) throw new SessionDataError(route, `${from} has to return a plain object, and has returned ${describeType(data)}.`, '', 'invalid')
    const texts: Texts = new Map()
    for (const [key, value] of Object.entries(data as Data)) {
      if (value === undefined) continue
      if (!isKey(key) || !isStorable(value)) throw new SessionDataError(route, `${from} has returned a value for the key ${show(key)} that JSON does not preserve.`, '', 'invalid')
      texts.set(key, JSON.stringify(value))
    }
    return texts
  }
}

function dataOf (texts: ReadonlyMap<string, string>): Data {
  return Object.fromEntries([...texts].filter(([key]) => !ownKeys.includes(key)).map(([key, text]) => [key, parseValue(key, text)]))
}

/** False for another value. Other spaces are no difference: another writer's text may have them. */
function isSame (text: string, stored: string | undefined): boolean {
  return text === stored || (stored !== undefined && text === JSON.stringify(JSON.parse(stored)))
}
