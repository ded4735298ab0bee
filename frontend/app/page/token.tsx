import { type FormEvent, useEffect, useRef } from "react";
import type { Asked } from "../board/access";
import { useAsked, useGiveToken } from "../board/hooks";

const REASONS: Record<Asked, string> = {
  wanted: "To see only what everybody may see, leave ?token out of the address.",
  needed: "This gateway shows readings only to those it knows.",
  refused: "The gateway refused this token.",
  forbidden: "This token may not read any sensor.",
  ending: "Your token ends soon. With another one the page goes on without interruption.",
  ended: "Your token has ended. With another one the page continues where it was.",
};

/** Asks for a token while the gateway does. */
export function TokenForm() {
  const asked = useAsked();
  return asked ? <Form asked={asked} /> : null;
}

function Form({ asked }: { asked: Asked }) {
  const give = useGiveToken();
  const input = useRef<HTMLInputElement>(null);
  useEffect(() => {
    // Nothing else works meanwhile; before a token ends, the page still does.
    if (asked !== "ending") input.current?.focus();
  }, [asked]);
  const submit = (event: FormEvent) => {
    event.preventDefault();
    const token = input.current?.value.trim();
    if (token) give(token);
  };
  const isWrong = asked === "refused" || asked === "forbidden";
  return (
    <section
      data-testid="token"
      aria-labelledby="token"
      className="mb-5 rounded-2xl border border-edge bg-card p-6 shadow-sm sm:p-8"
    >
      <h2 id="token" className="text-lg font-medium">
        Who are you?
      </h2>
      <p id="token-reason" role="alert" className={`mt-1 text-sm ${isWrong ? "text-bad" : "text-soft"}`}>
        {REASONS[asked]}
      </p>
      <form onSubmit={submit} className="mt-4">
        <label htmlFor="token-text" className="text-sm font-medium">
          Token or device key
        </label>
        <div className="mt-1.5 flex flex-wrap gap-3">
          <input
            ref={input}
            id="token-text"
            type="password"
            required
            autoComplete="off"
            spellCheck={false}
            aria-invalid={isWrong}
            aria-describedby="token-reason token-hint"
            className="min-w-0 flex-1 rounded-lg border border-soft bg-page px-3 py-2 font-mono text-sm"
          />
          <button
            type="submit"
            className="cursor-pointer rounded-lg border border-edge bg-page px-4 py-2 text-sm font-medium hover:bg-quiet-back"
          >
            Continue
          </button>
        </div>
        <p id="token-hint" className="mt-2 text-sm text-soft">
          It stays in the memory of this page: reloading forgets it.
        </p>
      </form>
    </section>
  );
}
