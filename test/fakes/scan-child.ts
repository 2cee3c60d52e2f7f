// The scanner's child process as the tests start it: the same entry that `ghostlimit __scan` calls.
import { runScanChild } from '../../src/adapters/proc/scan-child.ts';

runScanChild();
