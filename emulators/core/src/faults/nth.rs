//! Which of the matching calls a fault strikes, counted from 1.

use std::fmt;

use serde::de::{self, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::Rng;

/// `3`, `[1, 4]`, `{ every = 3 }`, `{ from = 2, to = 5 }` or `{ probability = 0.3, seed = 7 }`.
#[derive(Clone, PartialEq, Debug)]
pub enum Nth {
    One(u64),
    List(Vec<u64>),
    /// The 3rd, 6th, 9th, …
    Every(u64),
    /// Both ends included; no end: for ever.
    Range {
        from: u64,
        to: Option<u64>,
    },
    /// Each by a draw; the same seed strikes the same calls.
    Chance {
        probability: f64,
        seed: u64,
    },
}

impl Nth {
    /// Whether call number `count` is struck.
    pub fn strikes(&self, count: u64) -> bool {
        match self {
            Nth::One(nth) => count == *nth,
            Nth::List(list) => list.contains(&count),
            Nth::Every(every) => count.checked_rem(*every) == Some(0),
            Nth::Range { from, to } => count >= *from && to.is_none_or(|to| count <= to),
            // Drawn from the count, not from a running state: the order in which
            // concurrent calls are counted is then all that chance depends on.
            Nth::Chance { probability, seed } => {
                Rng::seeded(seed.wrapping_add(count.wrapping_mul(0x9e37_79b9_7f4a_7c15))).chance(*probability)
            }
        }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    every: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    from: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    to: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    probability: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    seed: Option<u64>,
}

impl Serialize for Nth {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut table = Table { every: None, from: None, to: None, probability: None, seed: None };
        match self {
            Nth::One(nth) => return nth.serialize(serializer),
            Nth::List(list) => return list.serialize(serializer),
            Nth::Every(every) => table.every = Some(*every),
            Nth::Range { from, to } => (table.from, table.to) = (Some(*from), *to),
            Nth::Chance { probability, seed } => {
                (table.probability, table.seed) = (Some(*probability), Some(*seed));
            }
        }
        table.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Nth {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NthVisitor)
    }
}

struct NthVisitor;

const FROM_ONE: &str = "nth counts from 1";

impl<'de> Visitor<'de> for NthVisitor {
    type Value = Nth;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number, a list of numbers, { every }, { from, to } or { probability, seed }")
    }

    fn visit_u64<E: de::Error>(self, nth: u64) -> Result<Nth, E> {
        if nth == 0 { Err(E::custom(FROM_ONE)) } else { Ok(Nth::One(nth)) }
    }

    fn visit_i64<E: de::Error>(self, nth: i64) -> Result<Nth, E> {
        u64::try_from(nth).map_err(|_| E::custom(FROM_ONE)).and_then(|nth| self.visit_u64(nth))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Nth, A::Error> {
        let mut list = Vec::new();
        while let Some(nth) = seq.next_element::<u64>()? {
            if nth == 0 {
                return Err(de::Error::custom(FROM_ONE));
            }
            list.push(nth);
        }
        Ok(Nth::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Nth, A::Error> {
        match Table::deserialize(de::value::MapAccessDeserializer::new(map))? {
            Table { every: Some(0), .. } => Err(de::Error::custom("every needs a number from 1")),
            Table { every: Some(every), from: None, to: None, probability: None, seed: None } => Ok(Nth::Every(every)),
            Table { every: None, from, to, probability: None, seed: None } if from.is_some() || to.is_some() => {
                Ok(Nth::Range { from: from.unwrap_or(1), to })
            }
            Table { every: None, from: None, to: None, probability: Some(probability), seed } => {
                if (0.0..=1.0).contains(&probability) {
                    Ok(Nth::Chance { probability, seed: seed.unwrap_or(0) })
                } else {
                    Err(de::Error::custom("probability must lie between 0 and 1"))
                }
            }
            _ => Err(de::Error::custom("nth needs exactly one of every, from/to, probability")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn struck(json: &str) -> Vec<u64> {
        let nth: Nth = serde_json::from_str(json).expect(json);
        (1..=12).filter(|count| nth.strikes(*count)).collect()
    }

    #[test]
    fn strikes_as_written() {
        assert_eq!(struck("3"), [3]);
        assert_eq!(struck("[1, 4]"), [1, 4]);
        assert_eq!(struck(r#"{"every": 5}"#), [5, 10]);
        assert_eq!(struck(r#"{"from": 10}"#), [10, 11, 12]);
        assert_eq!(struck(r#"{"to": 2}"#), [1, 2]);
        assert_eq!(struck(r#"{"from": 4, "to": 6}"#), [4, 5, 6]);
        assert_eq!(struck(r#"{"probability": 1.0}"#).len(), 12);
        assert_eq!(struck(r#"{"probability": 0}"#).len(), 0);
    }

    #[test]
    fn chance_repeats_by_seed() {
        let strikes = |seed| {
            let nth = Nth::Chance { probability: 0.5, seed };
            (1..=1000).filter(|count| nth.strikes(*count)).collect::<Vec<u64>>()
        };
        assert_eq!(strikes(1), strikes(1));
        assert_ne!(strikes(1), strikes(2));
        assert!((400..600).contains(&strikes(1).len()));
    }

    #[test]
    fn refuses_mixtures() {
        for json in [r#"{"every": 2, "from": 1}"#, "{}", r#"{"probability": 2}"#, r#"{"evry": 2}"#, "-1", r#""x""#] {
            assert!(serde_json::from_str::<Nth>(json).is_err(), "{json}");
        }
    }
}
