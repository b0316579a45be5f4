import axe from 'axe-core'
import type { Page } from 'playwright-core'
import type { Test } from 'tap'

/** Where the tests put pictures of the pages to be looked at, if anywhere. */
const pictures = process.env['PICTURES']

export const phone = { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true }
export const desk = { viewport: { width: 1280, height: 800 } }

/** Checks that a page is as everybody can use it: nothing sticks out of its window, and axe finds nothing: names, contrast, order of headings. */
export async function checkPage (t: Test, page: Page, name: string): Promise<void> {
  t.ok(await page.evaluate(() => document.documentElement.scrollWidth <= document.documentElement.clientWidth), `${name} fits its window`)
  // The page's own policy lets no script in, but the debugger is not bound by it.
  await page.evaluate(axe.source)
  const found = await page.evaluate(async () => {
    const { violations } = await (window as unknown as { axe: typeof axe }).axe.run()
    return violations.flatMap(({ id, nodes }) => nodes.map(({ html, any, all, none }) => `${id}: ${html} (${[...any, ...all, ...none].map(({ message }) => message).join('; ')})`))
  })
  t.strictSame(found, [], `axe finds nothing in ${name}`)
  if (pictures) await page.screenshot({ path: `${pictures}/${name.replaceAll(' ', '-')}.png` })
}
