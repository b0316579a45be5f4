import type { FastifyInstance } from 'fastify'

/** What the `main.ts` of each example exports: `run.ts` looks for it. */
export interface ExampleModule {
  /**
   * Builds the example's app from the environment, not listening yet.
   * @throws StartError if the environment lacks something that the reader can put right
   */
  start (): Promise<Example>
}

/** An example that is ready to listen. */
export interface Example {
  readonly app: FastifyInstance
  /** Where its sessions live, as the printed line says it: `the embedded store`. */
  readonly store: string
  /**
   * Three things to try, printed below that line; the last one is for a terminal.
   * @param url where the example listens
   */
  tries (url: string): readonly [string, string, string]
}
