//! Units that settings are written in, beside durations (`"30s"`).

use std::fmt;
use std::str::FromStr;

/// A number of bytes, written `"256KiB"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ByteSize(u64);

const SIZES: [(&str, u64); 4] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1)];

impl ByteSize {
    /// So many bytes.
    pub const fn bytes(count: u64) -> Self {
        Self(count)
    }

    /// So many times 1024 bytes.
    pub const fn kib(count: u64) -> Self {
        Self(count << 10)
    }

    /// So many times 1024 × 1024 bytes.
    pub const fn mib(count: u64) -> Self {
        Self(count << 20)
    }

    /// The number of bytes.
    pub const fn as_u64(self) -> u64 {
        self.0
    }

    /// The number of bytes; the most that can be addressed if it is more.
    pub fn as_usize(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let exact = SIZES.iter().find(|(_, size)| self.0 >= *size && self.0.is_multiple_of(*size));
        let (name, size) = exact.unwrap_or(&("B", 1));
        write!(f, "{}{name}", self.0 / size)
    }
}

/// The text is not a size or a share.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected {0}")]
pub struct ParseUnitError(&'static str);

impl FromStr for ByteSize {
    type Err = ParseUnitError;
    fn from_str(text: &str) -> Result<Self, ParseUnitError> {
        let parsed = SIZES.iter().find_map(|(name, size)| {
            let count: u64 = text.strip_suffix(name)?.trim_end().parse().ok()?;
            count.checked_mul(*size).map(Self)
        });
        parsed.ok_or(ParseUnitError("a size such as \"256KiB\" (B, KiB, MiB or GiB)"))
    }
}

/// A part of a whole, to the hundredth of a percent, written `"12.5%"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Share(u16);

impl Share {
    /// Nothing.
    pub const NONE: Share = Share(0);

    /// So many percent; more than all of it is all of it.
    pub const fn percent(percent: u16) -> Self {
        Self(if percent > 100 { 10_000 } else { percent * 100 })
    }

    /// Hundredths of a percent: 0 to 10,000.
    pub const fn basis_points(self) -> u16 {
        self.0
    }

    /// This share of `whole`, rounded up: a reserve is never smaller than promised.
    pub fn of(self, whole: u64) -> u64 {
        let part = (u128::from(whole) * u128::from(self.0)).div_ceil(10_000);
        u64::try_from(part).expect("a share of a whole is not more than the whole")
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0 / 100)?;
        match self.0 % 100 {
            0 => {}
            tenths if tenths % 10 == 0 => write!(f, ".{}", tenths / 10)?,
            hundredths => write!(f, ".{hundredths:02}")?,
        }
        f.write_str("%")
    }
}

impl FromStr for Share {
    type Err = ParseUnitError;
    fn from_str(text: &str) -> Result<Self, ParseUnitError> {
        let error = ParseUnitError("a share such as \"10%\" (0% to 100%, at most two decimals)");
        let number = text.strip_suffix('%').ok_or(error)?.trim_end();
        let (whole, part) = number.split_once('.').unwrap_or((number, "0"));
        let digits = |text: &str| (1..=3).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
        if !digits(whole) || !digits(part) || part.len() > 2 {
            return Err(error);
        }
        let part = format!("{part:0<2}");
        let (whole, part): (u16, u16) = (whole.parse().map_err(|_| error)?, part.parse().map_err(|_| error)?);
        let points = whole * 100 + part;
        if points > 10_000 { Err(error) } else { Ok(Self(points)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_survive_their_text() {
        for (text, bytes) in
            [("0B", 0), ("512B", 512), ("1KiB", 1024), ("1025B", 1025), ("256KiB", 262_144), ("2GiB", 2 << 30)]
        {
            let size: ByteSize = text.parse().unwrap();
            assert_eq!((size.as_u64(), size.to_string()), (bytes, text.to_owned()));
        }
        for wrong in ["", "12", "KiB", "-1B", "1.5KiB", "1kb", "99999999999999999999B", "99999999999GiB"] {
            assert!(wrong.parse::<ByteSize>().is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn shares_survive_their_text() {
        for (text, points) in
            [("0%", 0), ("10%", 1000), ("12.5%", 1250), ("0.05%", 5), ("99.99%", 9999), ("100%", 10_000)]
        {
            let share: Share = text.parse().unwrap();
            assert_eq!((share.basis_points(), share.to_string()), (points, text.to_owned()));
        }
        for wrong in ["", "10", "%", "100.01%", "101%", "-1%", "1.234%", "1.%", "+5%", "1e1%"] {
            assert!(wrong.parse::<Share>().is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn a_share_is_rounded_up_and_never_more_than_the_whole() {
        assert_eq!(Share::percent(10).of(15), 2);
        assert_eq!(Share::percent(10).of(0), 0);
        assert_eq!(Share::percent(100).of(u64::MAX), u64::MAX);
        assert_eq!(Share::NONE.of(u64::MAX), 0);
    }
}
