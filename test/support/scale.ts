/** A number for `npm test`, and the one for `npm run test:long`. */
export function scaled (usual: number, long: number): number {
  return process.env['LONG'] === '1' ? long : usual
}
