/** Milliseconds between two signs that something still goes on. */
const pause = 5000

export interface Progress {
  /** Tells what begins now. */
  say (text: string): void
  /** Tells no more. */
  end (): void
}

/** Tells on the standard error what a start waits for, and now and then that it still does: the standard output has the address alone. */
export function progress (): Progress {
  let timer: NodeJS.Timeout | undefined
  return {
    say (text) {
      clearInterval(timer)
      const start = performance.now()
      console.error(`${text}…`)
      timer = setInterval(() => console.error(`  ${Math.round((performance.now() - start) / 1000)} s…`), pause)
    },
    end () { clearInterval(timer) },
  }
}
