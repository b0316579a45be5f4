#!/usr/bin/env node
import { run } from './program.js'

// A reader that stops early (`| head`) is not an error, for any output.
for (const stream of [process.stdout, process.stderr]) {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error
  })
}

run(process.argv.slice(2), process).then((code) => { process.exitCode = code })
