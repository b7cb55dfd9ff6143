// Attributes: what the contract allows, and how they are kept in a file (../FORMAT.md).

import { bytesOf, textOf } from "./text.js";

// The most bytes of all names and values, and of what `pack` makes of them.
const MOST = 2048;
export const PACKED = 2 * MOST;

const NAME = /^[a-z][a-z0-9-]{0,127}$/;
// These have the meaning of the HTTP headers, and a value that fits into one.
const STANDARD = [
  "content-type",
  "content-encoding",
  "content-disposition",
  "content-language",
  "cache-control",
];

/** Why these are not allowed; nothing where they are. */
export function problem(attributes) {
  if (new Set(attributes.map(({ name }) => name)).size < attributes.length) {
    return "two attributes have the same name";
  }
  const size = bytesOf(attributes.map(({ name, value }) => name + value).join("")).length;
  if (size > MOST) return `all attributes together have at most ${MOST} bytes`;
  for (const { name, value } of attributes) {
    if (!NAME.test(name)) {
      return "a name has 1 to 128 lower-case letters, digits and `-`, and begins with a letter";
    }
    if (/\p{Cc}/u.test(value)) return `the value of \`${name}\` has a control character`;
    if (/^\p{White_Space}|\p{White_Space}$/u.test(value)) {
      return `the value of \`${name}\` begins or ends with white space`;
    }
    if (STANDARD.includes(name) && /[^\x00-\x7f]/.test(value)) {
      return `the value of \`${name}\` is not ASCII`;
    }
  }
  return undefined;
}

export function pack(attributes) {
  return bytesOf(attributes.map(({ name, value }) => `${name}=${value}\n`).join(""));
}

/** Nothing for what `pack` does not make. */
export function unpack(packed) {
  const lines = textOf(packed)?.split("\n");
  if (lines?.pop() !== "" || lines.some((line) => !line.includes("="))) return undefined;
  const attributes = lines.map((line) => {
    const at = line.indexOf("=");
    return { name: line.slice(0, at), value: line.slice(at + 1) };
  });
  return problem(attributes) ? undefined : attributes;
}
