// One check after the other, each with a deadline and a name that a failure is told under.
import assert from 'node:assert/strict';

const PATIENCE_MS = 60_000;
const checks = [];

export { assert };

/** Adds a check: a function that may return a promise. */
export function check(name, run) {
  checks.push({ name, run });
}

/** Runs the checks in order; the first failure ends the process with 1. */
export async function runChecks() {
  for (const { name, run } of checks) {
    let timer;
    const late = new Promise((_, reject) => {
      timer = setTimeout(() => reject(new Error(`no end within ${PATIENCE_MS} ms`)), PATIENCE_MS);
    });
    try {
      await Promise.race([run(), late]);
    } catch (error) {
      console.error(`FAILED ${name}: ${error.stack ?? error}`);
      process.exit(1);
    } finally {
      clearTimeout(timer);
    }
    console.log(`ok ${name}`);
  }
  process.exit(0);
}

/** The error that a promise must end with. */
export async function refused(promise) {
  try {
    await promise;
  } catch (error) {
    return error;
  }
  throw new Error('it was not refused');
}
