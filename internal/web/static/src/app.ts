// The script of the organiser's pages: everything here makes a page nicer that works without it.
import { announceChanges } from "./announce.ts";
import { copyButtons } from "./copy.ts";
import { keepLive } from "./live.ts";
import { scheduleForm, whenFields } from "./schedule.ts";
import { sayWhenStale } from "./stale.ts";
import { keepTimes } from "./times.ts";

keepTimes();
copyButtons();
scheduleForm();
whenFields();
announceChanges();
sayWhenStale();
keepLive();
