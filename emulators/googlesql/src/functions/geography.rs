//! GEOGRAPHY functions.

use crate::value::Geography;

/// Well-known text.
pub(crate) fn to_text(geography: &Geography) -> String {
    let point = |(x, y): &(f64, f64)| {
        format!("{} {}", crate::value::float::general(*x, 15, false), crate::value::float::general(*y, 15, false))
    };
    match &geography.points[..] {
        [] => "GEOMETRYCOLLECTION EMPTY".into(),
        [only] => format!("POINT({})", point(only)),
        many => format!("MULTIPOINT({})", many.iter().map(point).collect::<Vec<_>>().join(", ")),
    }
}
