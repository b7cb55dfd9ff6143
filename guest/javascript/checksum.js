// CRC-64/NVME, the checksum of the contract (`info.checksum` in wit/types.wit).

const POLYNOMIAL = 0x9a6c9329ac4bc9b5n; // bit-reversed

// Entry `byte` of table `n` is the checksum of that byte with `n` bytes of zero behind it. As two
// halves of 32 bits, since arithmetic on a BigInt for each byte would be slow.
const tables = () => [0, 1, 2, 3].map(() => new Uint32Array(256));
const HIGH = tables();
const LOW = tables();

for (let byte = 0; byte < 256; byte++) {
  let crc = BigInt(byte);
  for (let bit = 0; bit < 32; bit++) {
    crc = crc & 1n ? (crc >> 1n) ^ POLYNOMIAL : crc >> 1n;
    if (bit % 8 === 7) {
      HIGH[bit >> 3][byte] = Number(crc >> 32n);
      LOW[bit >> 3][byte] = Number(crc & 0xffff_ffffn);
    }
  }
}

const [HIGH0, HIGH1, HIGH2, HIGH3] = HIGH;
const [LOW0, LOW1, LOW2, LOW3] = LOW;

/** The checksum of the bytes that it was given, one chunk after the other. */
export class Crc64 {
  #high = -1;
  #low = -1;

  update(bytes) {
    let high = this.#high;
    let low = this.#low;
    let at = 0;
    // An interpreter takes half the time for four bytes at once. Here words are little-endian.
    if (bytes.byteOffset % 4 === 0) {
      const words = new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.length >> 2);
      at = words.length * 4;
      for (let n = 0; n < words.length; n++) {
        const word = low ^ words[n];
        const a = word & 0xff;
        const b = (word >>> 8) & 0xff;
        const c = (word >>> 16) & 0xff;
        const d = word >>> 24;
        low = high ^ LOW3[a] ^ LOW2[b] ^ LOW1[c] ^ LOW0[d];
        high = HIGH3[a] ^ HIGH2[b] ^ HIGH1[c] ^ HIGH0[d];
      }
    }
    for (; at < bytes.length; at++) {
      const entry = (low ^ bytes[at]) & 0xff;
      low = ((low >>> 8) | (high << 24)) ^ LOW0[entry];
      high = (high >>> 8) ^ HIGH0[entry];
    }
    this.#high = high;
    this.#low = low;
    return this;
  }

  /** As a BigInt: a number has no room for 64 bits. */
  get value() {
    return (BigInt(~this.#high >>> 0) << 32n) | BigInt(~this.#low >>> 0);
  }
}
