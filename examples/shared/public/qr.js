import { renderSVG } from '/uqr/index.mjs'

/**
 * A picture that a phone's camera reads the address of this page from.
 * @returns `undefined` where no phone reaches this server
 */
export async function pageForPhone () {
  const { origin } = await (await fetch('/shared/phone')).json()
  if (origin === null) return undefined
  const { pathname, hash } = window.location
  const svg = new window.DOMParser().parseFromString(renderSVG(origin + pathname + hash, { border: 2 }), 'image/svg+xml').documentElement
  svg.setAttribute('role', 'img')
  svg.setAttribute('aria-label', 'This page\u2019s address as a QR code')
  svg.classList.add('qr')
  return svg
}
