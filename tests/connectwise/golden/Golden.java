import java.io.PrintStream;
import java.text.ParsePosition;
import java.text.SimpleDateFormat;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Date;
import java.util.List;
import java.util.Locale;
import java.util.TimeZone;

/**
 * Writes what Java's SimpleDateFormat makes of patterns, zones, instants and texts, for the tests of our own reading.
 * Run once, in this folder: {@code javac -d build Golden.java && java -cp build Golden && rm -r build} (made with Java 17).
 * Columns are separated by tabs. written.tsv: pattern, zone, then the text of every instant of its first line.
 * read.tsv: pattern, zone, text, the instant in Unix ms, or "error" (strict reading, the whole text).
 * letters.tsv: letter, "pattern" or "error".
 */
public final class Golden {
    static final String[] PATTERNS = {
        "yyyy-MM-dd'T'HH:mm:ssXXX", "yyyy-MM-dd'T'HH:mm:ss'Z'", "yyyy-MM-dd HH:mm:ss", "MM/dd/yyyy HH:mm:ss",
        "yyyy-MM-dd'T'HH:mm:ss.SSS'Z'", "MM/dd/yyy'T'HH:mm:ssXXX", "yyyy-MM-dd'T'HH:mm:ssZ", "yyyy-MM-dd",
        "EEE, dd MMM yyyy HH:mm:ss Z", "yyyy-MM-dd'T'HH:mm:ss.SSSXXX", "yyyy-MM-dd'T'HH:mm:ss.SSSSSSXXX",
        "yyyy-MM-dd'T'HH:mm:ssX", "HH:mmz", "yyyyMMddHHmmssSSS", "yyyyMMdd'T'HHmmssXX", "yyMMddHHmm", "y-M-d H:m:s",
        "yyyyy.MMMMM.dd GGG hh:mm aaa", "EEEE d MMMM yyyy, h 'o''clock' a, zzzz", "EEEEE E EE EEE", "L LL LLL LLLL LLLLL",
        "M MM MMM MMMM", "G GG GGGG", "y yy yyy yyyy yyyyyy", "Y YY YYY YYYY YYYYYY", "YYYY-'W'ww-u", "YYYY-MM-dd",
        "yyyy-DDD", "D DD DDDD", "yyyy MMM F E", "yyyy MM W E", "F FF W WW w www", "u uu uuu", "a aa aaaa",
        "H HH HHH k kk kkk", "K KK KKK h hh hhh", "yyyy-MM-dd K:mm a", "yyyy-MM-dd k:mm", "yyyy-MM-dd h:mm a",
        "m mm mmm s ss sss", "S SS SSS SSSS SSSSSS SSSSSSSSS", "z zz zzz", "Z ZZ ZZZZZ", "X XX XXX", "yyyy-MM-dd HH:mm z",
        "''yyyy''", "'it''s' yyyy", "yyyy'年'MM月dd日", "[yyyy]~{MM}#dd", "d.M.yyyy H:mm", "MMM d, yyyy h:mm:ss a z",
    };
    static final String[] ZONES = {
        "UTC", "GMT", "EST", "CST", "America/Denver", "America/New_York", "Europe/Berlin", "Asia/Kolkata", "GMT-06:00",
        "GMT+05:45", "Australia/Sydney", "Australia/Lord_Howe",
    };
    static final String[] INSTANTS = {
        "1970-01-01T00:00:00Z", "1999-12-31T23:59:59.999Z", "2000-02-29T12:00:00.007Z", "2018-07-31T19:39:46.123Z",
        "2018-12-30T00:30:00Z", "2018-12-31T13:05:09.05Z", "2021-01-03T04:05:06Z", "2024-03-10T09:30:00Z",
        "2024-11-03T06:30:00Z", "2026-11-24T02:25:12.5Z", "2037-06-15T11:59:00Z", "1905-06-01T18:00:00Z",
    };
    static final String[][] ODD_TEXTS = {
        {"yyyy-MM-dd", "2018-7-1", "2018-02-29", "2020-02-29", "2018-13-01", "2018-00-10", "2018-04-31", "", " 2018-07-31",
            "2018- 7- 1", "2018/07/31", "x", "2018-07", "0000-01-01", "02018-07-31"},
        {"yyyy-MM-dd HH:mm:ss", "2018-07-31 24:00:00", "2018-07-31 23:60:00", "2018-07-31 23:59:60", "2018-07-31 1:2:3"},
        {"yy-MM-dd", "18-07-31", "68-01-01", "70-01-01", "99-12-31", "2018-07-31"},
        {"yyyyMMdd", "20180731", "2018731", "201807"},
        {"HHmm", "0930", "930", "2400"},
        {"dd MMM yyyy", "31 jul 2018", "31 JULY 2018", "1 Sept 2018", "31 07 2018", "31 Juli 2018", "01 may 2018"},
        {"EEE, dd MMM yyyy", "Tue, 31 Jul 2018", "Mon, 31 Jul 2018", "tuesday, 31 July 2018"},
        {"yyyy-MM-dd h:mm a", "2018-07-31 12:00 AM", "2018-07-31 12:00 pm", "2018-07-31 0:30 AM", "2018-07-31 13:00 PM"},
        {"yyyy-MM-dd HH:mm z", "2018-07-31 10:00 EST", "2018-07-31 10:00 EDT", "2018-01-31 10:00 EDT", "2018-07-31 10:00 PST",
            "2018-07-31 10:00 CST", "2018-07-31 10:00 IST", "2018-07-31 10:00 GMT+2", "2018-07-31 10:00 GMT+02:30",
            "2018-07-31 10:00 +0230", "2018-07-31 10:00 Pacific Daylight Time", "2018-07-31 10:00 utc", "2018-07-31 10:00 XYZ",
            "2018-07-31 10:00 CEST", "2018-07-31 10:00 JST"},
        {"yyyy-MM-dd HH:mm Z", "2018-07-31 10:00 -0700", "2018-07-31 10:00 GMT", "2018-07-31 10:00 PDT"},
        {"yyyy-MM-dd HH:mm X", "2018-07-31 10:00 -07", "2018-07-31 10:00 Z"},
        {"yyyy-MM-dd HH:mm XX", "2018-07-31 10:00 -0730", "2018-07-31 10:00 Z"},
        {"yyyy-MM-dd HH:mm XXX", "2018-07-31 10:00 -07:30", "2018-07-31 10:00 Z", "2018-07-31 10:00 +24:00"},
        {"yyyy-MM-dd HH:mm", "2024-03-10 02:30", "2024-11-03 01:30", "2024-10-27 02:30", "2024-03-31 02:30"},
        {"yyyy-DDD", "2018-212", "2018-366", "2020-366", "2018-000"},
        {"yyyy G", "2018 AD", "2018 ad"},
        {"yyyy-MM-dd kk:mm", "2018-07-31 24:10", "2018-07-31 0:10"},
    };

    static SimpleDateFormat format(String pattern, String zone) {
        SimpleDateFormat format = new SimpleDateFormat(pattern, Locale.US);
        format.setTimeZone(TimeZone.getTimeZone(zone));
        format.set2DigitYearStart(Date.from(Instant.parse("1969-01-01T00:00:00Z")));
        format.setLenient(false);
        return format;
    }

    static String read(String pattern, String zone, String text) {
        ParsePosition position = new ParsePosition(0);
        Date date = format(pattern, zone).parse(text, position);
        return date == null || position.getIndex() < text.length() ? "error" : Long.toString(date.getTime());
    }

    static void written(PrintStream out) {
        out.println("pattern\tzone\t" + String.join("\t", INSTANTS));
        for (String pattern : PATTERNS) {
            for (String zone : ZONES) {
                List<String> texts = new ArrayList<>();
                for (String instant : INSTANTS) {
                    texts.add(format(pattern, zone).format(Date.from(Instant.parse(instant))));
                }
                out.println(pattern + "\t" + zone + "\t" + String.join("\t", texts));
            }
        }
    }

    static void readings(PrintStream out) {
        out.println("pattern\tzone\ttext\tinstant");
        for (String[] row : ODD_TEXTS) {
            for (int i = 1; i < row.length; i++) {
                for (String zone : new String[] {"UTC", "America/Denver", "Europe/Berlin"}) {
                    out.println(row[0] + "\t" + zone + "\t" + row[i] + "\t" + read(row[0], zone, row[i]));
                }
            }
        }
        for (String pattern : PATTERNS) {
            for (String zone : new String[] {"UTC", "EST", "America/Denver", "Asia/Kolkata", "GMT-06:00"}) {
                for (String instant : INSTANTS) {
                    String text = format(pattern, zone).format(Date.from(Instant.parse(instant)));
                    out.println(pattern + "\t" + zone + "\t" + text + "\t" + read(pattern, zone, text));
                }
            }
        }
    }

    static void letters(PrintStream out) {
        out.println("letter\tmeaning");
        for (char letter = 'A'; letter <= 'z'; letter++) {
            if (Character.isLetter(letter)) {
                String meaning = "pattern";
                try {
                    new SimpleDateFormat(String.valueOf(letter), Locale.US);
                } catch (IllegalArgumentException error) {
                    meaning = "error";
                }
                out.println(letter + "\t" + meaning);
            }
        }
    }

    public static void main(String[] arguments) throws Exception {
        TimeZone.setDefault(TimeZone.getTimeZone("UTC"));
        try (PrintStream out = new PrintStream("written.tsv", "UTF-8")) {
            written(out);
        }
        try (PrintStream out = new PrintStream("read.tsv", "UTF-8")) {
            readings(out);
        }
        try (PrintStream out = new PrintStream("letters.tsv", "UTF-8")) {
            letters(out);
        }
    }
}
