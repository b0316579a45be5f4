import { AsyncLocalStorage } from 'node:async_hooks'

/** Something that a request did: in the session, its store, the database, or the reply. */
export interface Step {
  /** `read`, `write`, `commit`, `BEGIN`, … */
  readonly what: string
  readonly text: string
  /** A query, shown as it was sent. */
  readonly code?: string
  readonly tone?: 'good' | 'bad'
}

/** A request, as the drawer tells of it. Its steps have names of keys, never values or tokens. */
export interface EntryView {
  readonly id: number
  /** Milliseconds since the epoch. */
  readonly at: number
  readonly method: string
  /** The route's pattern: a path may have a token in it. */
  readonly path: string
  /** `undefined` while the reply is not out. */
  status: number | undefined
  /** Milliseconds until the reply was out. */
  duration: number | undefined
  /** `at`: milliseconds since the request came. */
  readonly steps: Array<Step & { readonly at: number }>
  /** The route, and the functions of the example that it calls. */
  readonly sources: readonly Source[]
}

/** Some lines of an example's own file. */
export interface Source {
  readonly file: string
  readonly line: number
  readonly text: string
}

/** The most steps of one request that are kept: a stream may go on for hours. */
const maxSteps = 60

/** One request while it is under way. */
export class Entry {
  readonly view: EntryView
  readonly #began = performance.now()
  readonly #onChange: (entry: Entry) => void

  constructor (about: Pick<EntryView, 'id' | 'method' | 'path' | 'sources'>, onChange: (entry: Entry) => void) {
    this.view = { ...about, at: Date.now(), status: undefined, duration: undefined, steps: [] }
    this.#onChange = onChange
  }

  add (step: Step): void {
    if (this.view.steps.length >= maxSteps) return
    this.view.steps.push({ ...step, at: this.#elapsed() })
    this.#onChange(this)
  }

  finish (status: number): void {
    this.view.status = status
    this.view.duration = this.#elapsed()
    this.#onChange(this)
  }

  #elapsed (): number {
    return Math.round((performance.now() - this.#began) * 100) / 100
  }
}

const entries = new AsyncLocalStorage<Entry>()

/** Runs a function, and all that it starts, for a request. */
export function runFor (entry: Entry | undefined, fn: () => void): void {
  if (entry === undefined) fn()
  else entries.run(entry, fn)
}

/** Adds a step to the request that the caller runs in, if there is one. */
export function note (step: Step): void {
  entries.getStore()?.add(step)
}

export function currentEntry (): Entry | undefined {
  return entries.getStore()
}
