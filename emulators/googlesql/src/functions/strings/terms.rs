//! Tokenized documents: TEXT_ANALYZE, BAG_OF_WORDS, and what TF_IDF computes over a window.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use icu_normalizer::{ComposingNormalizerBorrowed, DecomposingNormalizerBorrowed};

use crate::error::{Result, SqlError};
use crate::functions::args::{any, array, fail, optional_string, string};
use crate::functions::{ScalarFunction, entry};
use crate::types::Type;
use crate::value::Value;
use crate::value::json::{self, Json, WideNumbers};

pub(crate) static TABLE: &[ScalarFunction] = &[
    entry!(
        "text-analysis-functions",
        "text_analyze",
        "TEXT_ANALYZE",
        Handled,
        ["(STRING, [analyzer => STRING], [analyzer_options => STRING]) -> ARRAY<STRING>"],
        |_, args| {
            if any(args, 0).is_null() {
                return Ok(Value::Null);
            }
            let terms = analyze(string(args, 0)?, optional_string(args, 1)?, optional_string(args, 2)?)?;
            Ok(Value::array(terms.into_iter().map(Value::string).collect()))
        }
    ),
    entry!(
        "text-analysis-functions",
        "bag_of_words",
        "BAG_OF_WORDS",
        Propagate,
        ["(ARRAY<STRING>) -> ?"],
        |_, args| {
            let mut counts: BTreeMap<Option<&str>, i64> = BTreeMap::new();
            for term in array(args, 0)? {
                *counts.entry(text_of(term)).or_default() += 1;
            }
            let pair = |(term, count): (Option<&str>, i64)| {
                let term = term.map_or(Value::Null, Value::string);
                Value::Struct(Arc::new(vec![term, Value::Int64(count)]))
            };
            Ok(Value::array(counts.into_iter().map(pair).collect()))
        },
        result = |_| Ok(Type::array(Type::struct_of([("term", Type::String), ("count", Type::Int64)])))
    ),
];

fn text_of(term: &Value) -> Option<&str> {
    match term {
        Value::String(text) => Some(text),
        _ => None,
    }
}

/// What separates tokens where the options name nothing else.
const DELIMITERS: &str = "[]<>(){}|!;,'\"*&?+/:=@.-$%\\_\n\r\t %21%26%2526%3B%3b%7C%7c%20%2B%2b%3D%3d%2520%5D%5d%5B%5b%3A%3a%0A%0a%2C%2c%28%29";

/// The default analyzer's tokens: lower case, split at blanks and punctuation.
pub(super) fn tokens(text: &str) -> Vec<String> {
    split(text, &|c| c.is_whitespace() || (c.is_ascii_punctuation() && c != '#' && c != '^' && c != '~' && c != '`'))
        .map(str::to_lowercase)
        .collect()
}

fn split<'t>(text: &'t str, delimiter: &'t dyn Fn(char) -> bool) -> impl Iterator<Item = &'t str> {
    text.split(move |c: char| delimiter(c)).filter(|token| !token.is_empty())
}

/// TEXT_ANALYZE and SEARCH: a text's terms by the named analyzer.
pub(crate) fn analyze(text: &str, analyzer: Option<&str>, options: Option<&str>) -> Result<Vec<String>> {
    let options = match options {
        Some(text) => Some(
            json::parse(text, WideNumbers::Round)
                .map_err(|why| SqlError::evaluation(format!("Invalid analyzer_options: not a JSON object: {why}")))?,
        ),
        None => None,
    };
    let option = |name: &str| match &options {
        Some(Json::Object(fields)) => fields.get(name),
        _ => None,
    };
    let analyzer = analyzer.unwrap_or("LOG_ANALYZER").to_ascii_uppercase();
    let mut terms: Vec<String> = match analyzer.as_str() {
        "NO_OP_ANALYZER" => {
            if options.is_some() {
                return fail("NO_OP_ANALYZER does not support analyzer_options");
            }
            return Ok(vec![text.to_owned()]);
        }
        "LOG_ANALYZER" => match option("delimiters") {
            None => split(text, &default_delimiter).map(str::to_owned).collect(),
            Some(Json::Array(list)) => {
                let chars: Vec<char> = list
                    .iter()
                    .filter_map(|item| match item {
                        Json::String(text) => text.chars().next(),
                        _ => None,
                    })
                    .collect();
                split(text, &|c| chars.contains(&c)).map(str::to_owned).collect()
            }
            Some(_) => return fail("Invalid analyzer_options: delimiters must be an array of strings"),
        },
        "PATTERN_ANALYZER" => {
            let pattern = match option("patterns") {
                None => r"\b\w{2,}\b".to_owned(),
                Some(Json::Array(list)) => match &list[..] {
                    [Json::String(pattern)] => pattern.to_string(),
                    _ => return fail("Invalid analyzer_options: patterns must hold exactly one regular expression"),
                },
                Some(_) => return fail("Invalid analyzer_options: patterns must be an array of strings"),
            };
            let regex = regex::Regex::new(&pattern)
                .map_err(|_| SqlError::evaluation(format!("Invalid analyzer_options: invalid pattern {pattern}")))?;
            // The filters of the default come before the pattern there: it is matched in lower case.
            let lowered;
            let text = if option("token_filters").is_none() {
                lowered = text.to_lowercase();
                &lowered
            } else {
                text
            };
            regex.find_iter(text).map(|found| found.as_str().to_owned()).filter(|token| !token.is_empty()).collect()
        }
        other => return fail(format!("Invalid analyzer: {other}")),
    };
    match option("token_filters") {
        None => terms.iter_mut().for_each(|term| *term = term.to_lowercase()),
        Some(Json::Array(filters)) => {
            for filter in filters {
                terms = filtered(terms, filter)?;
            }
        }
        Some(_) => return fail("Invalid analyzer_options: token_filters must be an array"),
    }
    Ok(terms)
}

fn default_delimiter(c: char) -> bool {
    // The first part of the list are single characters; the rest are escapes of the same.
    c.is_whitespace() || DELIMITERS.split(' ').next().unwrap_or_default().contains(c)
}

fn filtered(terms: Vec<String>, filter: &Json) -> Result<Vec<String>> {
    let Json::Object(fields) = filter else {
        return fail("Invalid analyzer_options: a token filter must be an object");
    };
    let field = |name: &str| fields.get(name);
    if let Some(Json::Object(options)) = field("normalization").or_else(|| field("normalizer")) {
        let text = |name: &str| match options.get(name) {
            Some(Json::String(text)) => Some(text.to_ascii_uppercase()),
            _ => None,
        };
        let form = text("icu_normalize_mode").unwrap_or_else(|| "NFKC".to_owned());
        let fold = options.get("icu_case_folding") != Some(&Json::Bool(false));
        let normal = |term: &str| match form.as_str() {
            "NFC" => ComposingNormalizerBorrowed::new_nfc().normalize(term).into_owned(),
            "NFD" => DecomposingNormalizerBorrowed::new_nfd().normalize(term).into_owned(),
            "NFKD" => DecomposingNormalizerBorrowed::new_nfkd().normalize(term).into_owned(),
            _ => ComposingNormalizerBorrowed::new_nfkc().normalize(term).into_owned(),
        };
        let mode = text("mode").unwrap_or_else(|| "ICU_NORMALIZE".to_owned());
        let changed = |term: String| match mode.as_str() {
            "NONE" => Ok(term),
            "LOWER_CASE" | "LOWER" => Ok(term.to_lowercase()),
            "ICU_NORMALIZE" if fold => Ok(normal(&term.to_lowercase())),
            "ICU_NORMALIZE" => Ok(normal(&term)),
            _ => fail(format!("Invalid analyzer_options: unknown normalization mode {mode}")),
        };
        return terms.into_iter().map(changed).collect();
    }
    if let Some(Json::Array(words)) = field("stop_words") {
        let words: BTreeSet<String> = words
            .iter()
            .filter_map(|word| match word {
                Json::String(text) => Some(text.to_string()),
                _ => None,
            })
            .collect();
        return Ok(terms.into_iter().filter(|term| !words.contains(term)).collect());
    }
    Err(SqlError::unsupported(format!("Token filter {filter} is not supported")))
}

/// For each document its terms with their weight, `term frequency × ln(1 + documents / (1 + documents with it))`.
/// Terms beyond the `most` that most documents have, or seen in fewer than `threshold`, are the unknown term (NULL).
pub(crate) fn tf_idf(documents: &[Value], most: usize, threshold: i64) -> Vec<Value> {
    let terms_of = |document: &Value| -> Vec<Option<String>> {
        match document {
            Value::Array(items) => items.iter().map(|term| text_of(term).map(str::to_owned)).collect(),
            _ => Vec::new(),
        }
    };
    let read: Vec<Vec<Option<String>>> = documents.iter().map(terms_of).collect();
    let mut frequency: BTreeMap<&str, i64> = BTreeMap::new();
    for terms in &read {
        let distinct: BTreeSet<&str> = terms.iter().flatten().map(String::as_str).collect();
        distinct.into_iter().for_each(|term| *frequency.entry(term).or_default() += 1);
    }
    let mut ranked: Vec<(&str, i64)> = frequency.into_iter().filter(|(_, count)| *count >= threshold).collect();
    ranked.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
    ranked.truncate(most);
    let dictionary: BTreeMap<&str, i64> = ranked.into_iter().collect();
    let known = |term: &Option<String>| term.as_deref().filter(|term| dictionary.contains_key(term)).map(str::to_owned);
    let with_unknown = read.iter().filter(|terms| terms.iter().any(|term| known(term).is_none())).count() as i64;
    let all = read.len() as f64;
    read.iter()
        .zip(documents)
        .map(|(terms, document)| {
            if document.is_null() {
                return Value::Null;
            }
            let mut counts: BTreeMap<Option<String>, i64> = BTreeMap::new();
            terms.iter().for_each(|term| *counts.entry(known(term)).or_default() += 1);
            let weigh = |(term, count): (Option<String>, i64)| {
                let found = term.as_deref().and_then(|term| dictionary.get(term)).copied().unwrap_or(with_unknown);
                let weight = count as f64 / terms.len() as f64 * (1.0 + all / (1.0 + found as f64)).ln();
                let term = term.map_or(Value::Null, Value::string);
                Value::Struct(Arc::new(vec![term, Value::Float64(weight)]))
            };
            Value::array(counts.into_iter().map(weigh).collect())
        })
        .collect()
}
