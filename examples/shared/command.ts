import { existsSync } from 'node:fs'

/** How the project's own command is called in this checkout: built, or from its sources. */
export const command = existsSync(new URL('../../dist/cli/main.js', import.meta.url)) ? 'npx fastify-request-session' : 'npx tsx lib/cli/main.ts'
