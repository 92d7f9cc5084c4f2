fetch("/api/time")
  .then((response) => response.json())
  .then((answer) => (document.getElementById("time").value = answer.time));
