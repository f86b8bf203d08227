from tests.api.conftest import SOURCE, Person
async def test_it(ann: Person) -> None:
    r = await ann.client.get("/api/v1/me"); print(r.status_code, r.text)
    r = await ann.client.get("/api/v1/tools?project=weather"); print(r.status_code, r.text[:300])
    r = await ann.client.post("/api/v1/workflows", json={"project":"weather","source":SOURCE.format(name="w1")}); print(r.status_code, r.text[:3000])
    r = await ann.client.get("/api/v1/workflows?project=weather"); print(r.status_code, r.text[:3000])
    r = await ann.client.post("/api/v1/runs", json={"project":"weather","workflow":"w1"}, headers={"Idempotency-Key":"a"}); print(r.status_code, r.text[:3000])
    r = await ann.client.get("/api/v1/runs?project=weather&status=running&status=failed&workflow=w1&q=w"); print(r.status_code, r.text[:3000])
    rid=r.json()["items"][0]["id"]
    for p in ("steps","calls","events","artifacts"):
        r = await ann.client.get(f"/api/v1/runs/{rid}/{p}"); print(r.status_code, r.text[:1500])
    r = await ann.client.post(f"/api/v1/runs/{rid}/cancel"); print(r.status_code, r.text[:3000])
    r = await ann.client.get("/health/ready"); print(r.status_code, r.text[:3000])
    r = await ann.client.get("/"); print(r.status_code, r.text[:300], r.headers)
    assert 0
