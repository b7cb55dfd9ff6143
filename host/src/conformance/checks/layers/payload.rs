//! A layer that rewrites payloads: what it states is about those of its caller.

use super::super::super::Stop;
use super::super::super::direct::Upload;
use super::super::super::subject::{Subject, Verdict};
use crate::bindings::types::Info;
use crate::checksum::Checksum;

pub(super) fn stated(s: &Subject) -> Verdict {
    let below = s.below()?;
    let mut is_rewritten = false;
    let payloads =
        [Vec::new(), b"a".to_vec(), vec![b'a'; 70_000], s.bytes(70_000, 1), s.bytes(1000, 2)];
    for (n, data) in payloads.iter().enumerate() {
        let key = format!("k{n}");
        s.begin();
        let before = below.keys()?;
        let written = s.ok(&key, s.write(&key, Upload::of(data)))?;
        let new = &below.keys()? - &before;
        let mut is_there = false;
        for key in &new {
            is_there |= below.get(key)?.as_ref() == Some(data);
        }
        is_rewritten |= !is_there;
        is_of(s, data, &written)?;
        is_of(s, data, &s.ok(&key, s.stat(&key))?)?;
        let size = data.len() as u64;
        let listed = s.list(&key, 0)?;
        let expected = [(key.clone(), size)];
        s.check(listed == expected, &format!("{expected:?}"), format!("{listed:?}"))?;
        let half = size / 2;
        for (offset, length) in
            [(0, None), (half, None), (size, None), (0, Some(half)), (half, Some(7))]
        {
            let read = s.ok(&key, s.read(&key, offset, length))?;
            is_of(s, data, &read.info)?;
            let rest = &data[usize::try_from(offset).unwrap_or(usize::MAX).min(data.len())..];
            let due = length.and_then(|length| usize::try_from(length).ok()).unwrap_or(rest.len());
            let due = &rest[..due.min(rest.len())];
            let sent = &read.bytes[..due.len().min(read.bytes.len())];
            s.same(&key, due, sent)?;
            // More than was asked for may come, as far as the artifact goes (read-7).
            let is_of_it = rest.starts_with(&read.bytes);
            s.check(is_of_it, "bytes of the artifact alone", "others")?;
        }
        s.refused(&key, s.read(&key, size + 1, None).map(drop), &["invalid-range"])?;
        s.holds(&key, data)?;
    }
    match is_rewritten {
        true => Ok(()),
        false => Err(Stop::NotOffered("payloads that differ below".into())),
    }
}

/// The info must be that of these bytes.
fn is_of(s: &Subject, data: &[u8], info: &Info) -> Verdict {
    let mut sum = Checksum::new();
    sum.update(data);
    let is_right = info.size == data.len() as u64
        && info.checksum.is_none_or(|checksum| checksum == sum.value());
    let expected = format!("size {}, checksum none or {:016x}", data.len(), sum.value());
    s.check(is_right, &expected, format!("size {}, checksum {:x?}", info.size, info.checksum))
}
