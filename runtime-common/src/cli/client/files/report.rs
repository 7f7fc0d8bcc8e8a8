//! How people and programs are told what becomes of files: lines on stdout, progress on a terminal's stderr.

use std::io::{self, Write};
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;

use super::super::show::one_line;

/// Where it is told.
#[derive(Debug)]
pub(super) struct Report {
    json: bool,
    bars: MultiProgress,
}

/// What has happened, for programs. What does not belong to it is left out.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Line<'a> {
    pub(super) event: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) client: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) transfer: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) file: Option<&'a str>,
    /// Where it lies.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) path: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) size: Option<u64>,
    /// Up to where it was there, or got.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) offset: Option<u64>,
    /// How much was sent or came, now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) receivers: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) completed: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) failed: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) seconds: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) sha256: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) why: Option<&'a str>,
}

impl Report {
    pub(super) fn new(json: bool) -> Self {
        // Without a terminal it draws nothing.
        let bars = MultiProgress::with_draw_target(ProgressDrawTarget::stderr());
        Self { json, bars }
    }

    /// One thing that has happened: `text` is for people, who need not be told everything.
    pub(super) fn tell(&self, line: &Line<'_>, text: Option<&str>) {
        let line = if self.json {
            serde_json::to_string(line).unwrap_or_default()
        } else {
            match text {
                Some(text) => one_line(text),
                None => return,
            }
        };
        self.bars.suspend(|| {
            let mut stdout = io::stdout().lock();
            // Whoever does not read what becomes of the files still gets them.
            let _ = writeln!(stdout, "{line}").and_then(|()| stdout.flush());
        });
    }

    /// Something that people ought to know, on stderr.
    pub(super) fn note(&self, what: &str) {
        let what = one_line(what);
        self.bars.suspend(|| {
            let _ = writeln!(io::stderr().lock(), "{what}");
        });
    }

    /// Writes to stderr while no progress is shown.
    pub(super) fn aside(&self, write: impl FnOnce()) {
        self.bars.suspend(write);
    }

    /// A bar for one file.
    pub(super) fn bar(&self, file: &str, size: u64) -> ProgressBar {
        let bar = ProgressBar::new(size);
        let style = ProgressStyle::with_template(
            "{prefix} {wide_bar} {binary_bytes}/{binary_total_bytes} {binary_bytes_per_sec} {eta} {msg}",
        );
        let bar = bar.with_prefix(one_line(file));
        let bar = match style {
            Ok(style) => bar.with_style(style),
            Err(_) => bar,
        };
        self.bars.add(bar)
    }

    pub(super) fn remove(&self, bar: &ProgressBar) {
        bar.finish_and_clear();
        self.bars.remove(bar);
    }
}

/// How much in how long, for people.
pub(super) fn pace(bytes: u64, took: Duration) -> String {
    let seconds = took.as_secs_f64();
    let mb_per_s = bytes as f64 / 1e6 / seconds.max(1e-6);
    format!("in {seconds:.2} s ({mb_per_s:.1} MB/s)")
}
