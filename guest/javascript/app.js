// A backend of the artifact store in JavaScript: the contract in terms of `files`.
//
// Each exported interface is an object with its functions. An error of the contract is thrown as
// its case, `{ tag, val }`.

import { problem } from "./attributes.js";
import { Crc64 } from "./checksum.js";
import {
  Artifact,
  CHUNK,
  Pending,
  checkKey,
  failure,
  isName,
  nameOf,
  namesAfter,
  remove,
} from "./files.js";

// The largest artifact for `put` and `get`, in bytes; `write` and `read` take any size.
const IN_MEMORY = 32 * 1024 * 1024;
// The most bytes that `read` brings without a stream.
const AT_ONCE = 64 * 1024;
// The most files that are looked at for one page of a listing, found or not.
const PAGE = 1000;

export const artifactStore = {
  async put(key, data) {
    checkKey(key);
    if (data.length > IN_MEMORY) throw failure("too-large", IN_MEMORY);
    const pending = new Pending(key, []);
    try {
      pending.write(data);
      pending.commit(new Crc64().update(data).value, { create: false });
    } finally {
      pending.close();
    }
  },

  async get(key) {
    const artifact = open(key);
    try {
      const { size } = artifact.info;
      if (size > IN_MEMORY) throw failure("too-large", IN_MEMORY);
      return part(artifact, 0, size);
    } finally {
      artifact.close();
    }
  },

  async delete(key) {
    checkKey(key);
    remove(key);
  },
};

export const streams = {
  async write(key, data, end, { mode, size: announced, attributes }) {
    let pending;
    // From here on: the caller may wait for either of the two to be taken.
    const seal = new Seal(end, announced);
    try {
      checkKey(key);
      checkOptions(mode, attributes);
      const create = mode.tag === "create";
      // This settles no race; it can save the transfer.
      if (create && exists(key)) throw failure("already-exists");
      pending = new Pending(key, attributes);
      const checksum = new Crc64();
      for await (const chunk of data) {
        pending.write(chunk);
        checksum.update(chunk);
        if (seal.excludes(pending.size)) break;
      }
      seal.check(await seal.value, pending.size, checksum.value);
      return pending.commit(checksum.value, { create });
    } finally {
      pending?.close();
      seal.drop();
      data.drop();
    }
  },

  async read(key, offset, length) {
    const artifact = open(key);
    const available = artifact.info.size - unsigned(offset);
    if (available < 0) {
      artifact.close();
      throw failure("invalid-range");
    }
    const due = length === null ? available : Math.min(unsigned(length), available);
    if (due <= AT_ONCE) {
      try {
        return [artifact.info, { tag: "bytes", val: part(artifact, unsigned(offset), due) }];
      } finally {
        artifact.close();
      }
    }
    let tell;
    const outcome = new Promise((resolve) => (tell = resolve));
    const stream = send(artifact, unsigned(offset), due, tell);
    const { readable } = wit.Future.from(outcome, wit.Future.RESULT_VOID_ERROR);
    return [artifact.info, { tag: "streamed", val: [stream, readable] }];
  },
};

export const inventory = {
  async stat(key) {
    const artifact = open(key);
    artifact.close();
    return artifact.info;
  },

  async listArtifacts(prefix, cursor, limit) {
    if (cursor !== null && !isName(cursor)) {
      throw failure("other", "this is no cursor of this backend");
    }
    const entries = [];
    let lookedAt = 0;
    for (const name of namesAfter(cursor)) {
      const artifact = find(name);
      if (artifact?.key.startsWith(prefix)) {
        const { size, modified, version } = artifact.info;
        entries.push({ key: artifact.key, size, modified, version });
      }
      lookedAt++;
      if (lookedAt === PAGE || entries.length === limit) return { entries, next: name };
    }
    return { entries, next: null };
  },
};

function open(key) {
  checkKey(key);
  return new Artifact(nameOf(key));
}

/** Yields the `due` bytes from `offset` on; all bytes are compared with their checksum. */
function* chunks(artifact, offset, due) {
  const whole = due === artifact.info.size;
  const checksum = new Crc64();
  while (due > 0) {
    const chunk = artifact.read(Math.min(due, CHUNK), offset);
    checksum.update(chunk);
    offset += chunk.length;
    due -= chunk.length;
    yield chunk;
  }
  if (whole && checksum.value !== artifact.checksum) {
    throw artifact.damaged("does not match its checksum");
  }
}

/** The same as one array. */
function part(artifact, offset, due) {
  const data = new Uint8Array(due);
  let done = 0;
  for (const chunk of chunks(artifact, offset, due)) {
    data.set(chunk, done);
    done += chunk.length;
  }
  return data;
}

/** The artifact in the file `name`, closed; nothing where it was deleted or is damaged. */
function find(name) {
  try {
    const artifact = new Artifact(name);
    artifact.close();
    return artifact;
  } catch (error) {
    if (error.tag === "not-found" || error.tag === "corrupt") return undefined;
    throw error;
  }
}

/** Says before the first byte what cannot be stored. */
function checkOptions(mode, attributes) {
  if (mode.tag === "replace") {
    // A rename replaces whatever is there, and WASI has no locks.
    throw failure("unsupported", "this backend cannot replace one version only");
  }
  const why = problem(attributes);
  if (why) throw failure("other", why);
}

function exists(key) {
  try {
    open(key).close();
    return true;
  } catch (error) {
    if (error.tag === "not-found") return false;
    if (error.tag === "corrupt") return true;
    throw error;
  }
}

/** What the sender says about its bytes: nothing, a seal, or why there is none. */
class Seal {
  #end;
  #announced;
  #known;

  constructor(end, announced) {
    this.#end = end;
    this.#announced = announced;
    this.value = end.read().then((value) => (this.#known = value));
    this.value.catch(() => {});
  }

  /** Whether `size` bytes are already too many, or the sender has given up. */
  excludes(size) {
    const limit = this.#known?.val?.size ?? this.#announced ?? Infinity;
    if (this.#known?.tag === "err") return true;
    if (size > limit) throw failure("other", `more than ${limit} bytes arrived`);
    return false;
  }

  check({ tag, val }, size, checksum) {
    if (tag === "err") throw failure("other", `the write was given up: ${val}`);
    if (this.#announced !== null && this.#announced !== val.size) {
      throw failure("other", `${this.#announced} bytes were announced, but ${val.size} sealed`);
    }
    if (val.size !== size) {
      throw failure("other", `${val.size} bytes were sealed, but ${size} arrived`);
    }
    // The seal's is a double: as many of its bits are compared as that has.
    if (val.checksum !== Number(checksum)) {
      throw failure("other", "the bytes have another checksum than those that were sealed");
    }
  }

  /** What is not dropped stays with the instance after the call. */
  drop() {
    // A read that is still waiting has to be cancelled before.
    if (!this.#known) this.#end.cancelRead();
    this.#end.drop();
  }
}

/** Yields `due` bytes from `offset` on; then tells how that went. */
async function* send(artifact, offset, due, tell) {
  let outcome = { tag: "ok" };
  try {
    yield* chunks(artifact, offset, due);
  } catch (error) {
    outcome = { tag: "err", val: error };
  } finally {
    // Also where the reader went away in the middle.
    artifact.close();
    tell(outcome);
  }
}

/** A u64 as componentize-qjs 0.4 hands it over: the last ones below 2^64 come as -1, -2, … */
const unsigned = (number) => (number < 0 ? number + 2 ** 64 : number);
