// Artifacts as files: names, the format of one file, and how a file gets into its place.
// The format is on one page, ../FORMAT.md.

import preopens from "wasi:filesystem/preopens@0.2.12";
import random from "wasi:random/random@0.2.12";
import { sha256 } from "@noble/hashes/sha2.js";
import { bytesToHex } from "@noble/hashes/utils.js";
import { PACKED, pack, unpack } from "./attributes.js";
import { bytesOf, textOf } from "./text.js";

const MAGIC = bytesOf("artifac1");
// Magic, size and checksum of the payload, version, lengths of the key and of the attributes; these
// two and the payload follow.
const HEADER = 48;
const MAX_KEY = 1024;
// The bytes that are moved at once.
export const CHUNK = 256 * 1024;

/** A case of the contract's `error`, to be thrown. */
export const failure = (tag, val) => ({ tag, val });

export function checkKey(key) {
  const length = bytesOf(key).length;
  if (length < 1 || length > MAX_KEY) {
    throw failure("invalid-key", `a key has 1 to ${MAX_KEY} bytes, not ${length}`);
  }
  if (/\p{Cc}/u.test(key)) throw failure("invalid-key", "a key has no control characters");
}

/** The file name: of one length and one letter case, and another one for every key. */
export const nameOf = (key) => bytesToHex(sha256(bytesOf(key)));
export const isName = (name) => /^[0-9a-f]{64}$/.test(name);
/** One of 256 directories, so that none becomes very large. */
const directoryOf = (name) => name.slice(0, 2);
const pathOf = (name) => `${directoryOf(name)}/${name}`;

let granted;

/** The directory that the host granted as `/`. */
function root() {
  granted ??= preopens.getDirectories().find(([, path]) => path === "/")?.[0];
  if (!granted) throw failure("access-denied", "no directory is granted as `/`");
  return granted;
}

/**
 * An open artifact; the caller closes it. Info and bytes come from one file, whatever is put
 * meanwhile.
 */
export class Artifact {
  constructor(name) {
    this.path = pathOf(name);
    // A link is not followed.
    this.file = meaning(
      this.path,
      () => root().openAt({}, this.path, {}, { read: true }),
      { "no-entry": () => failure("not-found") },
    );
    try {
      this.#parse(name);
    } catch (error) {
      this.close();
      throw error;
    }
  }

  #parse(name) {
    const stat = meaning(this.path, () => this.file.stat());
    if (stat.type !== "regular-file") throw this.damaged("is no regular file");
    const head = this.#readAt(HEADER + MAX_KEY + PACKED, 0);
    const view = new DataView(head.buffer, head.byteOffset, head.byteLength);
    if (head.length < HEADER || MAGIC.some((byte, at) => head[at] !== byte)) {
      throw this.damaged("does not begin like an artifact");
    }
    const keyEnd = HEADER + view.getUint32(40, true);
    const key = head.subarray(HEADER, keyEnd);
    if (bytesToHex(sha256(key)) !== name) throw this.damaged("holds another key");
    this.key = textOf(key);
    if (this.key === undefined) throw this.damaged("holds a key that is not UTF-8");
    this.checksum = view.getBigUint64(16, true);
    this.start = keyEnd + view.getUint32(44, true);
    const size = stat.size - this.start;
    if (view.getBigUint64(8, true) !== BigInt(size)) {
      throw this.damaged("has another size than it states");
    }
    const attributes = unpack(head.subarray(keyEnd, this.start));
    if (!attributes) throw this.damaged("has attributes that cannot be read");
    this.info = infoOf(size, stat, head.subarray(24, 40), attributes);
  }

  /** At most `length` bytes of the payload from `offset` on; none is an error. */
  read(length, offset) {
    const bytes = this.#readAt(length, this.start + offset);
    if (bytes.length === 0) throw this.damaged("was cut while it was read");
    return bytes;
  }

  #readAt(length, offset) {
    return meaning(this.path, () => this.file.read(length, offset))[0];
  }

  damaged(how) {
    return failure("corrupt", `\`${this.path}\` ${how}`);
  }

  close() {
    this.file[Symbol.dispose]();
  }
}

/**
 * An artifact that is being written, where nobody looks: `commit` makes it visible, and `close`
 * removes what was not committed.
 */
export class Pending {
  constructor(key, attributes) {
    this.key = bytesOf(key);
    this.attributes = attributes;
    this.packed = pack(attributes);
    this.start = HEADER + this.key.length + this.packed.length;
    this.name = nameOf(key);
    this.size = 0;
    // Random, since other instances and processes are at work beside this one. Only the system's
    // random numbers will do: those of `Math.random` were seeded when this was built.
    this.version = random.getRandomBytes(16);
    this.path = `${directoryOf(this.name)}/tmp-${bytesToHex(this.version)}`;
    const directory = directoryOf(this.name);
    meaning(directory, () => root().createDirectoryAt(directory), { exist: () => undefined });
    this.file = meaning(this.path, () =>
      root().openAt({}, this.path, { create: true, exclusive: true }, { read: true, write: true }),
    );
  }

  write(bytes) {
    this.#writeAt(bytes, this.start + this.size);
    this.size += bytes.length;
  }

  #writeAt(bytes, offset) {
    for (let done = 0; done < bytes.length; ) {
      const chunk = bytes.subarray(done, done + CHUNK);
      done += meaning(this.path, () => this.file.write(chunk, offset + done));
    }
  }

  /** Durable first, then visible in one step, then the step itself durable. */
  commit(checksum, { create }) {
    const head = new Uint8Array(this.start);
    head.set(MAGIC);
    const view = new DataView(head.buffer);
    view.setBigUint64(8, BigInt(this.size), true);
    view.setBigUint64(16, checksum, true);
    head.set(this.version, 24);
    view.setUint32(40, this.key.length, true);
    view.setUint32(44, this.packed.length, true);
    head.set(this.key, HEADER);
    head.set(this.packed, HEADER + this.key.length);
    this.#writeAt(head, 0);
    const target = pathOf(this.name);
    const stat = meaning(this.path, () => {
      this.file.sync();
      return this.file.stat();
    });
    if (create) {
      // Unlike a rename, a link cannot replace: of many creators one wins.
      meaning(this.path, () => root().linkAt({}, this.path, root(), target), {
        exist: () => failure("already-exists"),
      });
    } else {
      meaning(this.path, () => root().renameAt(this.path, root(), target));
    }
    syncChange(directoryOf(this.name));
    return infoOf(this.size, stat, this.version, this.attributes);
  }

  close() {
    this.file[Symbol.dispose]();
    try {
      root().unlinkFileAt(this.path);
    } catch {
      // Renamed by `commit`; or it stays as litter, which nobody sees.
    }
  }
}

export function remove(key) {
  const name = nameOf(key);
  meaning(pathOf(name), () => root().unlinkFileAt(pathOf(name)), { "no-entry": () => undefined });
  // Also where there was none: an earlier removal may not be durable yet.
  syncChange(directoryOf(name));
}

/** The names of all artifacts behind `cursor`, in order, one directory at a time. */
export function* namesAfter(cursor) {
  for (let number = cursor ? parseInt(cursor.slice(0, 2), 16) : 0; number < 256; number++) {
    const names = namesIn(number.toString(16).padStart(2, "0"));
    for (const name of names.filter(isName).sort()) {
      if (!cursor || name > cursor) yield name;
    }
  }
}

function namesIn(path) {
  const names = [];
  const directory = openDirectory(path);
  if (!directory) return names;
  try {
    meaning(path, () => {
      const entries = directory.readDirectory();
      try {
        for (let entry; (entry = entries.readDirectoryEntry()); ) names.push(entry.name);
      } finally {
        entries[Symbol.dispose]();
      }
    });
  } finally {
    directory[Symbol.dispose]();
  }
  return names;
}

function openDirectory(path) {
  const open = () => root().openAt({}, path, { directory: true }, { read: true });
  return meaning(path, open, { "no-entry": () => undefined });
}

/**
 * Makes a change durable that can be seen already: the directory, and the root, since the
 * directory may be new, whoever made it. Where this fails the outcome is open: a crash may still
 * undo the change.
 */
function syncChange(path) {
  try {
    const directory = openDirectory(path);
    if (!directory) return;
    try {
      directory.sync();
    } finally {
      directory[Symbol.dispose]();
    }
    root().sync();
  } catch (error) {
    const why = error.val ?? error.message;
    throw failure("unavailable", `the change may not be durable: \`${path}\`: ${why}`);
  }
}

// No checksum: in JavaScript the contract's numbers of 64 bits come and go as doubles, with 53.
function infoOf(size, stat, version, attributes) {
  const modified = stat.dataModificationTimestamp;
  return { size, checksum: null, modified, version: bytesToHex(version), attributes };
}

const CASES = {
  access: "access-denied",
  "not-permitted": "access-denied",
  "read-only": "access-denied",
  "insufficient-space": "no-space",
  quota: "no-space",
  loop: "corrupt",
  "is-directory": "corrupt",
  "not-directory": "corrupt",
  // Somebody took away what was just made.
  "no-entry": "unavailable",
  busy: "unavailable",
  interrupted: "unavailable",
  "would-block": "unavailable",
  "text-file-busy": "unavailable",
};

/**
 * Calls `operation`; the one place where an error of the system becomes a case of the contract.
 * `expected` has the errors with another meaning here: what they return is thrown, or returned
 * where it is nothing.
 */
function meaning(path, operation, expected = {}) {
  try {
    return operation();
  } catch (error) {
    // What a function of WASI throws has its error code as the message.
    if (!(error instanceof Error)) throw error;
    const code = error.message;
    if (code in expected) {
      const other = expected[code]();
      if (other) throw other;
      return undefined;
    }
    throw failure(CASES[code] ?? "other", `\`${path}\`: ${code}`);
  }
}
