import { chromium, type Browser } from 'playwright-core'
import { isExecutable } from './find-program.js'
import { MissingServer } from './missing-server.js'

/** A real Chromium without a window, `CHROMIUM_PATH` or Debian's; its `close` ends it. */
export async function startChromium (): Promise<Browser> {
  const executablePath = process.env['CHROMIUM_PATH'] || '/usr/bin/chromium'
  if (!isExecutable(executablePath)) {
    throw new MissingServer(`Chromium (looked at ${executablePath})`, 'apt-get install chromium, or set CHROMIUM_PATH')
  }
  return chromium.launch({
    executablePath,
    // Chromium refuses to sandbox the pages of root.
    chromiumSandbox: process.getuid?.() !== 0,
    // It talks to nothing but the pages under test.
    args: ['--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
      '--disable-component-update', '--disable-sync', '--disable-dev-shm-usage'],
  })
}
