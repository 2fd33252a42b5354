from django.http import JsonResponse
from django.urls import path
from django.views.decorators.csrf import csrf_exempt
from notes.models import Note


@csrf_exempt
def notes(request):
    if request.method == "POST":
        Note.objects.create(text=request.POST["text"])
    return JsonResponse({"notes": [each.text for each in Note.objects.order_by("id")]})


urlpatterns = [path("notes", notes)]
