//! The course of a run: the timeline's place and data, what the harness did, the calls by method.

use std::fmt::Write as _;

use super::{data, escaped, said};
use crate::run::Record;

/// Methods that are listed at most; a client with more is a client of everything.
const METHODS: usize = 60;
const COMPLAINTS: usize = 40;

pub(super) fn course(page: &mut String, number: usize, record: &Record) {
    let (all, kept) = (record.total_calls(), record.calls.len());
    let _ = writeln!(page, "<h3 id=\"course-{number}\">Timeline</h3>");
    let left_out = match all - kept.min(all) {
        0 => String::new(),
        more => format!("; {more} more, quick ones that succeeded, are only counted below"),
    };
    let _ = writeln!(page, "<p class=\"count\">{kept} calls in {}{left_out}</p>", said(record.length));
    let _ = writeln!(
        page,
        "<div class=\"timeline\" data-of=\"data-{number}\"><noscript>The timeline is drawn by a script; the calls are \
         counted below.</noscript></div>"
    );
    let _ = writeln!(page, "<script type=\"application/json\" id=\"data-{number}\">{}</script>", data::data(record));
    moments(page, record);
    tally(page, record);
    complaints(page, record);
}

fn moments(page: &mut String, record: &Record) {
    if record.moments.is_empty() {
        return;
    }
    page.push_str("<h3>What happened to it</h3>\n<ol class=\"moments\">\n");
    for moment in &record.moments {
        let (class, word) = if moment.is_fault { ("fault", "fault: ") } else { ("step", "") };
        let (at, text) = (said(moment.at), escaped(&moment.text));
        let _ = writeln!(page, "<li class=\"{class}\"><time>{at}</time> <span>{word}{text}</span></li>");
    }
    page.push_str("</ol>\n");
}

fn tally(page: &mut String, record: &Record) {
    if record.tally.is_empty() {
        return;
    }
    page.push_str("<h3>Calls by method</h3>\n<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"Calls by method\">\n");
    page.push_str("<table class=\"tally\">\n<thead><tr><th scope=\"col\">process</th><th scope=\"col\">call</th>");
    for column in ["calls", "not OK", "waited for locks", "hit by a fault", "longest", "longest wait"] {
        let _ = write!(page, "<th scope=\"col\" class=\"number\">{column}</th>");
    }
    page.push_str("</tr></thead>\n<tbody>\n");
    for one in record.tally.iter().take(METHODS) {
        let (client, service) = (escaped(&one.client), escaped(&one.service));
        let _ = write!(
            page,
            "<tr><td>{client}</td><th scope=\"row\"><span class=\"service {service}\">{service}</span> {}</th>",
            escaped(&one.method)
        );
        let number = |count: usize| if count == 0 { "–".to_owned() } else { count.to_string() };
        let bad = if one.not_ok > 0 { " bad" } else { "" };
        let wait = if one.longest_wait.is_zero() { "–".to_owned() } else { said(one.longest_wait) };
        let _ = write!(
            page,
            "<td class=\"number\">{}</td><td class=\"number{bad}\">{}</td>",
            one.calls,
            number(one.not_ok)
        );
        let _ = write!(
            page,
            "<td class=\"number\">{}</td><td class=\"number\">{}</td>",
            number(one.waited),
            number(one.faulted)
        );
        let _ = writeln!(page, "<td class=\"number\">{}</td><td class=\"number\">{wait}</td></tr>", said(one.longest));
    }
    page.push_str("</tbody>\n</table>\n</div>\n");
}

fn complaints(page: &mut String, record: &Record) {
    let found: Vec<_> = record.lines.iter().filter(|line| line.is_complaint()).collect();
    if found.is_empty() {
        return;
    }
    let _ = writeln!(
        page,
        "<details class=\"fold\"><summary>Warnings and errors in its log ({})</summary>\n<ol class=\"log\">",
        found.len()
    );
    for line in found.iter().take(COMPLAINTS) {
        let (at, process, text) = (said(line.at), escaped(&line.process), escaped(&line.text));
        let _ = writeln!(page, "<li><time>{at}</time> <span class=\"by\">{process}</span> <code>{text}</code></li>");
    }
    page.push_str("</ol>\n");
    if found.len() > COMPLAINTS {
        let _ = writeln!(page, "<p class=\"more\">and {} more</p>", found.len() - COMPLAINTS);
    }
    page.push_str("</details>\n");
}
