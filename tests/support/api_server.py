"""A real OpenAI-compatible server on loopback for tests: serves a model or fixed words, and fails as it is told."""

import json
import math
import random
import threading
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Literal, Protocol

Trouble = Literal[
    "", "429", "500", "hang", "truncated", "malformed", "no-logprobs", "no-usage", "drop", "400"
]


class Voice(Protocol):
    """Whatever speaks behind the server."""

    def choices(self, body: Mapping[str, Any]) -> list[dict[str, Any]]: ...


class FixedVoice:
    """Says each of `words` with its probability, whatever it is asked; the first word is its first token."""

    def __init__(self, words: Mapping[str, float]) -> None:
        self.words = words

    def choices(self, body: Mapping[str, Any]) -> list[dict[str, Any]]:
        drawn = random.Random(body.get("seed", 0)).choices(
            [*self.words], [*self.words.values()], k=body.get("n", 1)
        )
        top = [{"token": word, "logprob": math.log(p), "bytes": None} for word, p in self.words.items()]
        return [choice(word, top[: body["top_logprobs"]] if body.get("logprobs") else None) for word in drawn]


class ModelVoice:
    """A model folder spoken by transformers alone, in fp32."""

    def __init__(self, path: Path) -> None:
        import torch
        import transformers

        self._torch, self._lock = torch, threading.Lock()
        self._tokenizer = transformers.AutoTokenizer.from_pretrained(path)
        self._model = transformers.AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32).eval()

    def choices(self, body: Mapping[str, Any]) -> list[dict[str, Any]]:
        template = self._tokenizer.apply_chat_template
        text = template(body["messages"], add_generation_prompt=True, tokenize=False)
        asked = self._tokenizer(text, add_special_tokens=False, return_tensors="pt")
        with self._lock, self._torch.inference_mode():
            if body.get("logprobs"):
                told = self._torch.log_softmax(self._model(**asked).logits[0, -1], dim=-1)
                found = told.topk(body["top_logprobs"])
                listed = zip(found.indices.tolist(), found.values.tolist(), strict=True)
                top = [{"token": self._tokenizer.decode([token]), "logprob": p} for token, p in listed]
                return [choice(top[0]["token"], top)]
            self._torch.manual_seed(body.get("seed", 0))
            written = self._model.generate(
                **asked,
                do_sample=True,
                temperature=body["temperature"] or 1e-3,
                top_p=body["top_p"],
                top_k=0,
                num_return_sequences=body.get("n", 1),
                max_new_tokens=body["max_tokens"],
            )
        new = written[:, asked["input_ids"].shape[1] :]
        return [choice(text) for text in self._tokenizer.batch_decode(new, skip_special_tokens=True)]


def choice(text: str, top: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    listed = {"content": [{**top[0], "top_logprobs": top}]} if top else None
    return {"index": 0, "message": {"role": "assistant", "content": text}, "logprobs": listed}


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Says nothing of clients that went away."""


class ApiServer:
    """What a test can see and set: `asked` are the requests that came, `troubles` what befalls the next ones.

    `always` befalls every request; `key` is the only key that is let in, where it is set; `redirect` is where every
    request is sent on to; `single` refuses to draw several at a time; `seconds` is how long an answer takes.
    """

    def __init__(self, voice: Voice) -> None:
        self.voice, self.key, self.always, self.redirect = voice, "", "", ""
        self.single, self.seconds = False, 0.0
        self.at_once, self.most_at_once, self._lock = 0, 0, threading.Lock()
        self.asked: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.troubles: deque[Trouble] = deque()
        self.unknown_field = ""  # which is refused without a name
        self.refused: set[str] = set()  # fields that are refused by name, each in a refusal of its own
        self.most_listed = 1000
        self.n_unwilling = 0  # of the first questions, which are refused however often they come
        self.unwilling: set[str] = set()
        self.closing = threading.Event()
        self.url = ""

    @contextmanager
    def counting(self) -> Iterator[None]:
        with self._lock:
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
        yield
        with self._lock:
            self.at_once -= 1

    def refusal(self, body: Mapping[str, Any]) -> tuple[int, dict[str, Any]] | None:
        """The status and body with which a request is refused; None if it is not."""
        for name in sorted(self.refused & set(body)):
            hint = "use max_completion_tokens" if name == "max_tokens" else ""
            return 422, {"detail": [{"type": "extra_forbidden", "loc": [name], "msg": hint}]}
        text = body["messages"][-1]["content"]
        with self._lock:
            if len(self.unwilling) < self.n_unwilling:
                self.unwilling.add(text)
        reasons = {
            "extra fields are not permitted": self.unknown_field in body,
            f"Requested too many logprobs, more than the most: {self.most_listed}": (
                body.get("top_logprobs", 0) > self.most_listed
            ),
            "no": text in self.unwilling,
            "Only one completion choice is allowed": self.single and body.get("n", 1) > 1,
        }
        reason = next((sentence for sentence, applies in reasons.items() if applies), "")
        return (400, {"error": {"message": reason}}) if reason else None

    def next_trouble(self) -> str:
        try:
            return self.troubles.popleft()
        except IndexError:
            return self.always


@contextmanager
def serving(voice: Voice) -> Iterator[ApiServer]:
    """A server on a free port of loopback; it ends with the block."""
    told = ApiServer(voice)

    class Handler(_Handler):
        server_state = told

    with _Server(("127.0.0.1", 0), Handler) as server:
        told.url = f"http://127.0.0.1:{server.server_address[1]}/v1"
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        try:
            yield told
        finally:
            told.closing.set()
            server.shutdown()


class _Handler(BaseHTTPRequestHandler):
    server_state: ApiServer
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        state, key = self.server_state, self.headers.get("Authorization", "")
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        state.asked.append(body)
        state.headers.append(dict(self.headers))
        trouble = state.next_trouble()
        if state.redirect:
            return self._send(307, {}, {"Location": f"{state.redirect}/chat/completions"})
        if self.path != "/v1/chat/completions" or body["model"] == "unknown":
            return self._send(404, {"error": {"message": f"no such model for {key}"}})
        if state.key and key != f"Bearer {state.key}":
            return self._send(401, {"error": {"message": f"Incorrect API key provided: {key}"}})
        if refusal := state.refusal(body):
            return self._send(*refusal)
        if trouble == "hang":
            state.closing.wait(20)
        elif trouble == "drop":
            self.close_connection = True
        elif trouble in ("429", "500", "400"):
            told = {"message": f"trouble for {key}", "code": "rate"}
            self._send(int(trouble), {"error": told}, {"Retry-After": "0.05"} if trouble == "429" else {})
        elif trouble == "malformed":
            self._raw(f'{{"choices": [ {key}'.encode())
        else:
            self._reply(body, trouble)

    def _reply(self, body: Mapping[str, Any], trouble: str) -> None:
        with self.server_state.counting():
            self.server_state.closing.wait(self.server_state.seconds)
            choices = self.server_state.voice.choices(body)
        if trouble == "no-logprobs":
            choices = [{**each, "logprobs": None} for each in choices]
        n_read = sum(len(message["content"]) for message in body["messages"]) // 4
        usage = {
            "prompt_tokens": n_read,
            "completion_tokens": sum(len(c["message"]["content"]) for c in choices),
        }
        told = {"model": f"{body['model']}-2026", "choices": choices}
        content = json.dumps(told if trouble == "no-usage" else {**told, "usage": usage}).encode()
        self._raw(content[: len(content) // 2] if trouble == "truncated" else content, len(content))

    def _send(self, status: int, body: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> None:
        self._raw(json.dumps(body).encode(), status=status, headers=headers)

    def _raw(
        self,
        content: bytes,
        length: int | None = None,
        *,
        status: int = 200,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self.close_connection = length is not None and length != len(content)
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", **(headers or {})}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content) if length is None else length))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:
        """Says nothing on standard error."""
