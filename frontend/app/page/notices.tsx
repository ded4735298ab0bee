import type { Notice } from "../board/board";
import { useBoard, useHead } from "../board/hooks";

export function Notices() {
  const notices = useHead((head) => head.notices);
  const refusal = useHead((head) => head.refusal);
  return (
    <div aria-live="polite" className="grid gap-2 not-empty:mt-5">
      {refusal === undefined ? null : <p className={NOTICE}>The server refused: {refusal}</p>}
      {notices.map((notice) => (
        <GapNotice key={notice.key} notice={notice} />
      ))}
    </div>
  );
}

const NOTICE = "rounded-xl border border-warn-edge bg-warn-back px-4 py-2.5 text-sm text-warn";

function GapNotice({ notice }: { notice: Notice }) {
  const board = useBoard();
  return (
    <div className={`flex items-center justify-between gap-4 ${NOTICE}`}>
      <p data-testid="gap">{gapText(notice)}</p>
      <button
        type="button"
        onClick={() => board.dismiss(notice)}
        className="cursor-pointer rounded-md px-2 py-1 font-medium underline-offset-2 hover:underline"
      >
        Dismiss
      </button>
    </div>
  );
}

const TIME = new Intl.DateTimeFormat(undefined, { timeStyle: "medium" });

function gapText({ from, to, reason }: Notice): string {
  const when =
    from === undefined ? `before ${TIME.format(to)}` : `from ${TIME.format(from)} to ${TIME.format(to)}`;
  return `Some readings ${when} could not be had any more (${reason}).`;
}
