use super::super::direct::Upload;
use super::super::outcome::under;
use super::super::subject::{Answer, Subject, Verdict};
use super::super::{Check, Group::Create, Stop};
use super::STREAMS;
use super::expect::joined;
use crate::bindings::types::Info;

pub(super) const CHECKS: &[Check] = &[
    Check::new("a_create_stores_where_nothing_is", Create, &["create-1"], stores).needs(STREAMS),
    Check::new("a_create_does_not_replace", Create, &["create-2"], keeps).needs(STREAMS),
    Check::new("of_many_creators_one_wins", Create, &["create-1", "create-2"], race).needs(STREAMS),
];

fn create(s: &Subject, key: &str, data: &[u8]) -> Verdict<Answer<Info>> {
    let answer = s.write(key, Upload::of(data).create());
    if answer.as_ref().is_err_and(|kind| kind.name() == "unsupported") {
        s.absent(key)?;
        return Err(Stop::NotOffered("the mode `create`".into()));
    }
    Ok(answer)
}

fn stores(s: &Subject) -> Verdict {
    s.ok("k", create(s, "k", b"first")?)?;
    s.holds("k", "first")?;
    s.ok("k", s.delete("k"))?;
    s.ok("k", s.write("k", Upload::of(b"again").create()))?;
    s.holds("k", "again")
}

fn keeps(s: &Subject) -> Verdict {
    s.ok("k", create(s, "k", b"first")?)?;
    for upload in [Upload::of(b"second").create(), Upload::of(b"").create().end_first()] {
        s.refused("k", s.write("k", upload), &["already-exists"])?;
        s.holds("k", "first")?;
    }
    s.ok("empty", s.put("empty", ""))?;
    let again = s.write("empty", Upload::of(b"x").create());
    s.refused("empty", again, &["already-exists"])?;
    s.holds("empty", "")
}

fn race(s: &Subject) -> Verdict {
    drop(create(s, "first", b"x")?);
    for round in 0..8_u8 {
        s.begin();
        let key = format!("k{round}");
        let winners: Vec<u8> = std::thread::scope(|scope| {
            let creators: Vec<_> = (0..8_u8)
                .map(|n| {
                    let key = key.as_str();
                    let upload = Upload::of(&vec![n; 1000]).create();
                    scope.spawn(move || (n, s.write(key, upload)))
                })
                .collect();
            let mut winners = Vec::new();
            for creator in creators {
                let (n, answer) = joined(creator);
                match answer {
                    Ok(_) => winners.push(n),
                    Err(kind) => {
                        let refused = s.refused::<()>(&key, Err(kind), &["already-exists"]);
                        under("create-2", refused)?;
                    }
                }
            }
            Ok(winners)
        })?;
        let seen = format!("{} creates were ok", winners.len());
        s.check(winners.len() == 1, "one create of eight is ok", seen)?;
        s.holds(&key, vec![winners[0]; 1000])?;
    }
    Ok(())
}
