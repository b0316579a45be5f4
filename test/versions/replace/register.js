// Loaded with --import, before tsx: what imports one package gets another one, of test/versions/package.json. REPLACE is `<name>=<name there>`.
import { register } from 'node:module'

const [name, replacement] = process.env.REPLACE.split('=')
register('./hooks.js', import.meta.url)
if (!import.meta.resolve(name).includes(`/node_modules/${replacement}/`)) throw new Error(`${name} was not replaced`)
