/** True in `npm run test:long`. */
export const isLong = process.env['LONG'] === '1'

/** A number for `npm test`, and the one for `npm run test:long`. */
export function scaled (usual: number, long: number): number {
  return isLong ? long : usual
}
