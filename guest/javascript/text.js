// UTF-8, by the two functions that every engine has had for ever; QuickJS has no TextEncoder.

export function bytesOf(text) {
  return Uint8Array.from(unescape(encodeURIComponent(text)), (char) => char.charCodeAt(0));
}

/** Nothing for bytes that are not UTF-8. */
export function textOf(bytes) {
  let text = "";
  for (const byte of bytes) text += String.fromCharCode(byte);
  try {
    return decodeURIComponent(escape(text));
  } catch {
    return undefined;
  }
}
